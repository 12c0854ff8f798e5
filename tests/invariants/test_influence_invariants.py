"""What must not matter to influence, small-study effects and ranking: names, order, reference, empty studies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import enthesis as en
from enthesis.assess.influence import baujat, influence
from enthesis.assess.leave_out import leave_one_study_out
from enthesis.assess.leave_out_tau import tau2_without_each
from enthesis.assess.ranking import p_scores
from enthesis.assess.small_study import comparison_adjusted_funnel, network_egger
from enthesis.inference.tau import tau2_estimate
from enthesis.models.target import contrast_target

ORDER = ["A", "B", "C", "D"]
COLUMNS = ["hat", "outlier_Q", "cook_d", "cov_ratio", "tau_without", "Q_without"]


@st.composite
def tables(draw) -> list[dict]:
    """Studies of A to D: a connected core of two rings, then any pairs, one of three arms."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    designs = ["AB", "BC", "CD", "AD", "AC", "ABC", *draw(st.lists(st.sampled_from(["AB", "AC", "BD"]), max_size=4))]
    rows = []
    for s, design in enumerate(designs):
        n = int(rng.integers(20, 200))
        rows += [{"study": f"S{s:02d}", "treatment": t, "mean": 0.3 * ORDER.index(t) + rng.normal(0, 1.3 / np.sqrt(n)),
                  "sd": 1.0, "n": n} for t in design]  # fmt: skip
    return rows


def fitted(rows: list[dict], reference: str = "A"):
    return en.fit(en.from_table(rows, measure="MD", reference=reference, better="higher"), engine="gls", tau="DL")


def effects(fit) -> pd.Series:
    """Leave-one-out effects of C against B, by study."""
    table = leave_one_study_out(fit, comparator="B")
    return table[table.treatment == "C"].set_index("left_out").estimate.sort_index()


@given(tables(), st.booleans())
@settings(max_examples=15, deadline=None)
def test_tau_without_each_study_is_that_of_a_fit_without_it(rows, restricted):
    target = contrast_target(en.from_table(rows, measure="MD", reference="A"))
    for study, tau2 in tau2_without_each(target, restricted=restricted).items():
        groups = [replace(g, study=g.study[on], arms=g.arms[on], y=g.y[on], v=g.v[on])
                  for g in target.groups for on in [g.study != study] if on.any()]  # fmt: skip
        alone = tau2_estimate(replace(target, groups=tuple(groups)), "REML" if restricted else "ML")
        assert tau2 == pytest.approx(alone, rel=1e-7, abs=1e-12)


@given(tables(), st.sampled_from("BCD"))
@settings(max_examples=15, deadline=None)
def test_the_reference_does_not_matter(rows, reference):
    one, other = fitted(rows), fitted(rows, reference)
    assert effects(one).tolist() == pytest.approx(effects(other).tolist(), abs=1e-8)
    assert influence(one)[COLUMNS].to_numpy() == pytest.approx(influence(other)[COLUMNS].to_numpy(), rel=1e-6, abs=1e-8)
    assert baujat(one).influence.tolist() == pytest.approx(baujat(other).influence.tolist(), rel=1e-6, abs=1e-8)
    assert p_scores(one, mid=0.1).p_score.tolist() == pytest.approx(p_scores(other, mid=0.1).p_score.tolist())


@given(tables(), st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_the_order_of_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = fitted(rows), fitted(shuffled)
    assert effects(one).tolist() == pytest.approx(effects(other).tolist(), abs=1e-10)
    assert network_egger(one, order=ORDER)[0].slope == pytest.approx(network_egger(other, order=ORDER)[0].slope)


@given(tables())
@settings(max_examples=15, deadline=None)
def test_names_do_not_matter(rows):
    names = dict(zip(ORDER, ["placebo", "zeta", "alpha", "mu"], strict=True))
    one = fitted(rows)
    other = fitted([row | {"treatment": names[row["treatment"]]} for row in rows], "placebo")
    first = comparison_adjusted_funnel(one, order=ORDER).sort_values(["study", "adjusted"]).adjusted.tolist()
    second = (
        comparison_adjusted_funnel(other, order=list(names.values()))
        .sort_values(["study", "adjusted"])
        .adjusted.tolist()
    )
    assert first == pytest.approx(second, abs=1e-9)
    assert network_egger(other, order=list(names.values()))[0].slope == pytest.approx(
        network_egger(one, order=ORDER)[0].slope, rel=1e-6, abs=1e-8
    )


@given(tables())
@settings(max_examples=15, deadline=None)
def test_a_study_that_says_nothing_can_be_left_out(rows):
    silent = [{"study": "zz", "treatment": t, "mean": 50.0, "sd": 1e8, "n": 20} for t in "AC"]
    model = en.Model(heterogeneity=en.Common())
    network = en.from_table(rows + silent, measure="MD", reference="A")
    fit = en.fit(network, model, engine="gls")
    table = leave_one_study_out(fit)
    assert np.abs(table[table.left_out == "zz"].change).max() < 1e-8
    assert influence(fit).set_index("study").cook_d["zz"] < 1e-8


@given(tables())
@settings(max_examples=15, deadline=None)
def test_hats_sum_to_the_number_of_effects_and_stay_below_the_contrasts_of_the_study(rows):
    table = influence(fitted(rows))
    assert table.hat.sum() == pytest.approx(3)
    assert (table.hat <= table.n_contrasts + 1e-9).all()
