"""Rare-event engines: limits in which they are known methods, what they leave out, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import nchypergeom_fisher

from enthesis.errors import DataError, ModelError, NotConnected
from enthesis.estimands import relative_effects
from enthesis.inference.fit import fit
from enthesis.inference.glmm import mixed_model
from enthesis.inference.rare import RARE_ENGINES
from enthesis.inference.stratified import mantel_haenszel
from enthesis.models.heterogeneity import Exchangeable
from enthesis.models.model import Model
from enthesis.network.comparison import cells
from enthesis.network.tables import from_table

TRIANGLE = [
    ("1", "A", 3, 60), ("1", "B", 7, 62), ("2", "A", 2, 50), ("2", "B", 5, 48), ("3", "B", 4, 70), ("3", "C", 9, 66),
    ("4", "A", 1, 40), ("4", "C", 6, 44), ("5", "A", 2, 80), ("5", "B", 3, 75), ("5", "C", 8, 79),
]  # fmt: skip
EVERY = pytest.mark.parametrize("engine", RARE_ENGINES)


def network(rows=TRIANGLE, reference="A", measure="OR"):
    return from_table(
        [dict(study=s, treatment=t, events=r, n=n) for s, t, r, n in rows], measure=measure, reference=reference
    )


def pairs(rows):
    return [(f"s{i}", t, r, n) for i, (a, m, b, n2) in enumerate(rows) for t, r, n in (("A", a, m), ("B", b, n2))]


counts = st.lists(
    st.tuples(st.integers(0, 8), st.integers(20, 60), st.integers(0, 8), st.integers(20, 60)), min_size=2, max_size=5
).filter(lambda rows: sum(r[0] for r in rows) > 0 < sum(r[2] for r in rows))


@settings(max_examples=20, deadline=None)
@given(counts)
def test_two_treatments_by_mh_are_the_pairwise_mantel_haenszel(rows):
    n = network(pairs(rows))
    one, two = relative_effects(fit(n, engine="mh"), "A").iloc[0], mantel_haenszel(cells(n))
    assert (one.estimate, one.se) == pytest.approx((two.estimate, two.se), rel=1e-9, abs=1e-12)


def test_two_treatments_by_nch_are_the_pairwise_exact_conditional_model():
    n = network([row for row in TRIANGLE if row[0] in "12"])
    one, two = relative_effects(fit(n, engine="nch"), "A").iloc[0], mixed_model(cells(n), "CM.EL", effects="common")
    assert (one.estimate, one.se) == pytest.approx((two.estimate, two.se), rel=1e-4)


def test_the_conditional_estimate_makes_events_equal_to_their_expectation():
    n = network([row for row in TRIANGLE if row[0] in "12"])
    odds = np.exp(fit(n, engine="nch").estimate[1])
    expected = sum(nchypergeom_fisher(a + b, b, total, odds).mean() for a, b, total in ((60, 62, 10), (50, 48, 7)))
    assert expected == pytest.approx(7 + 5, rel=1e-8)


@EVERY
def test_comparisons_do_not_depend_on_the_reference(engine):
    effects = [
        relative_effects(fit(network(reference=name), engine=engine))
        .set_index(["treatment", "comparator"])
        .sort_index()
        for name in "ABC"
    ]
    for other in effects[1:]:
        assert np.abs(other.estimate - effects[0].estimate).max() < 1e-6


@pytest.mark.parametrize("engine", ["mh", "nch", "nch-approximate"])
def test_a_study_without_events_changes_nothing_and_is_in_the_ledger(engine):
    extra = [("6", "A", 0, 30), ("6", "B", 0, 31)]
    one, two = fit(network(), engine=engine), fit(network(TRIANGLE + extra), engine=engine)
    assert two.estimate == pytest.approx(one.estimate, abs=1e-9)
    assert {e.study for e in two.network.ledger.excluded} == {"6"}


def test_a_treatment_without_events_leaves_mh_and_nch_and_stays_in_plr():
    rows = [*TRIANGLE, ("6", "A", 3, 30), ("6", "D", 0, 31)]
    assert [fit(network(rows), engine=e).treatments for e in ("mh", "nch")] == [("A", "B", "C")] * 2
    result = fit(network(rows), engine="plr")
    assert result.status.ok
    assert -6 < result.estimate[3] < 0


def test_plr_maximises_firths_penalised_likelihood():
    rows = TRIANGLE[:6]
    got = fit(network(rows), engine="plr").estimate
    study = np.array([int(s) - 1 for s, *_ in rows])
    X = np.zeros((6, 5))
    X[np.arange(6), study] = 1
    for i, (_, t, *_rest) in enumerate(rows):
        if t != "A":
            X[i, 3 + "BC".index(t)] = 1
    r, n = (np.array([row[j] for row in rows], float) for j in (2, 3))

    def penalised(b):
        eta = X @ b
        p = 1 / (1 + np.exp(-eta))
        information = X.T @ ((n * p * (1 - p))[:, None] * X)
        return -(r @ eta - n @ np.logaddexp(0, eta) + 0.5 * np.linalg.slogdet(information)[1])

    best = minimize(penalised, np.r_[-3, -3, -3, 0, 0], method="BFGS", options={"gtol": 1e-9}).x
    assert got[1:] == pytest.approx(best[3:], abs=1e-5)


def test_the_multinomial_approximation_is_good_when_events_are_few_among_many():
    rows = [(s, t, r, 200 * n) for s, t, r, n in TRIANGLE]
    exact, approximate = (fit(network(rows), engine=e).estimate for e in ("nch", "nch-approximate"))
    assert approximate == pytest.approx(exact, abs=2e-3)


def test_the_exact_likelihood_is_within_reach_for_thousands_of_events():
    rows = [("1", "A", 2200, 9000), ("1", "B", 1900, 8800), ("1", "C", 2100, 9100), ("2", "A", 3000, 9900),
            ("2", "B", 2500, 9800)]  # fmt: skip
    exact, logistic = (fit(network(rows), engine=e) for e in ("nch", "plr"))
    assert exact.status.ok
    assert exact.estimate == pytest.approx(logistic.estimate, abs=1e-3)


@EVERY
def test_random_effects_are_refused_in_words(engine):
    with pytest.raises(ModelError, match="common effects only"):
        fit(network(), Model(heterogeneity=Exchangeable()), engine=engine)


@EVERY
def test_other_measures_are_refused_in_words(engine):
    with pytest.raises(ModelError, match="odds ratios from events"):
        fit(network(measure="RR"), engine=engine)


def test_a_network_without_events_is_refused():
    with pytest.raises(DataError, match="no study has events"):
        fit(network([("1", "A", 0, 30), ("1", "B", 0, 31)]), engine="mh")


def test_a_network_that_falls_apart_without_its_silent_studies_is_refused():
    rows = [
        ("1", "A", 3, 30), ("1", "B", 4, 31), ("2", "B", 0, 30), ("2", "C", 0, 31), ("3", "C", 3, 30), ("3", "D", 4, 9),
    ]  # fmt: skip
    with pytest.raises(NotConnected):
        fit(network(rows), engine="mh")
