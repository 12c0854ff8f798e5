"""Sequential monitoring: boundaries against published tables, information, and the sceptic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import enthesis as en
from enthesis.assess.sequential import boundaries, crossing_probability, monitor, spent
from enthesis.errors import UsageError
from enthesis.report.plots import sequential as plot
from enthesis.report.render.svg import draw

FIFTHS = np.arange(1, 6) / 5


def test_boundaries_of_obrien_fleming_type_are_those_of_lan_and_demets():
    # ldbounds 2.0, ldBounds(t = seq(0.2, 1, 0.2), iuse = c(1, 1), alpha = c(0.025, 0.025)); Reboussin 2000, table 2
    assert boundaries(FIFTHS) == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)


def test_boundaries_of_pocock_type_are_those_of_lan_and_demets():
    # the same with iuse = c(2, 2)
    assert boundaries(FIFTHS, spending="pocock") == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=2e-4)


@pytest.mark.parametrize(
    ("looks", "pocock", "obrien_fleming"),
    # Jennison & Turnbull, Group Sequential Methods, 2000, tables 2.1 and 2.3, alpha 0.05
    [(2, 2.178, 1.977), (3, 2.289, 2.004), (4, 2.361, 2.024), (5, 2.413, 2.040), (10, 2.555, 2.087)],
)
def test_the_classical_designs_have_their_error(looks, pocock, obrien_fleming):
    t = np.arange(1, looks + 1) / looks
    assert crossing_probability(t, np.full(looks, pocock)) == pytest.approx(0.05, abs=2e-4)
    assert crossing_probability(t, obrien_fleming / np.sqrt(t)) == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize(("looks", "error"), [(1, 0.050), (2, 0.083), (3, 0.107), (5, 0.142), (10, 0.193)])
def test_repeated_looks_without_adjustment_err_as_armitage_found(looks, error):
    # Armitage, McPherson & Rowe 1969, table 2
    t = np.arange(1, looks + 1) / looks
    assert crossing_probability(t, np.full(looks, 1.959964)) == pytest.approx(error, abs=6e-4)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.02, 0.98), min_size=1, max_size=5, unique=True), st.sampled_from([0.01, 0.05, 0.1]))
def test_the_looks_together_spend_alpha_whatever_their_times(times, alpha):
    t = np.unique(np.round(np.array([*times, 1.0]), 2))
    assert crossing_probability(t, boundaries(t, alpha)) == pytest.approx(alpha, rel=1e-4)


def test_simulated_trials_without_an_effect_cross_as_often_as_they_may():
    rng = np.random.default_rng(4)
    t = np.array([0.25, 0.5, 0.75, 1.0])
    walk = np.cumsum(rng.normal(size=(40_000, 4)) * np.sqrt(0.25), axis=1) / np.sqrt(t)
    crossed = (np.abs(walk) >= boundaries(t)).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 40_000))


def test_a_look_far_too_early_has_nothing_to_spend():
    assert np.isinf(boundaries(np.array([0.001, 1.0]))[0])


def test_looks_after_the_required_information_keep_the_boundary_of_the_first_of_them():
    found = boundaries(np.array([0.5, 1.2, 3.0]))
    assert found[2] == found[1] == boundaries(np.array([0.5, 1.0]))[1]


def test_all_of_alpha_is_spent_at_the_required_information():
    assert 2 * spent(1.0, 0.05) == pytest.approx(0.05)


@pytest.mark.parametrize("t", [[0.5, 0.5], [0.5, 0.4], [0.0, 1.0], [np.nan]])
def test_looks_that_do_not_go_forward_are_refused(t):
    with pytest.raises(UsageError, match="increase"):
        boundaries(np.array(t))


def network(*studies, year=None):
    rows = [
        {"study": name, "treatment": t, "events": r, "n": 100}
        for name, drug, placebo in studies
        for t, r in (("placebo", placebo), ("drug", drug))
    ]
    return en.from_table(rows, measure="OR", reference="placebo", better="higher")


STUDIES = network(("a", 40, 30), ("b", 45, 28), ("c", 50, 27), ("d", 38, 33))


def test_the_information_at_the_end_is_that_of_the_random_effects_estimate():
    # 1/v_R is the common-effect information times 1 - D², so both ways to adjust for diversity agree (Wetterslev 2009)
    found = monitor(STUDIES, effect=1.5)
    needed = (1.959963985 + 1.281551566) ** 2 / np.log(1.5) ** 2
    assert found.fraction[-1] == pytest.approx(1 / found.se[-1] ** 2 / needed, rel=1e-6)


def test_naive_looks_err_as_often_before_the_required_information_as_beyond_it():
    early, late = (monitor(STUDIES, effect=e, tau="common") for e in (1.1, 2.0))
    assert early.fraction[-1] < 1
    assert late.fraction[0] < 1 < late.fraction[-2]
    assert late.naive_error == pytest.approx(early.naive_error, abs=1e-6)
    share = late.information / late.information[-1]
    assert late.naive_error == pytest.approx(crossing_probability(share, np.full(4, late.usual_limit)), abs=1e-9)


def test_the_last_look_is_the_meta_analysis_of_all_studies():
    whole = en.fit(STUDIES, engine="gls")
    found = monitor(STUDIES, effect=1.5)
    assert found.estimate[-1] == pytest.approx(whole.estimate[whole.network.index("drug")], rel=1e-6)


def test_the_sceptic_is_between_no_opinion_and_no_effect():
    found = monitor(STUDIES, effect=1.5)
    assert (found.sceptical < found.flat).all()
    assert (found.sceptical > 0.5).all()


def test_the_sceptical_posterior_is_the_normal_one():
    found = monitor(STUDIES, effect=1.5)
    sd = np.log(1.5) / 1.6448536
    mean = found.estimate[0] / found.se[0] ** 2 / (1 / found.se[0] ** 2 + 1 / sd**2)
    from scipy.stats import norm

    assert found.sceptical[0] == pytest.approx(norm.cdf(mean * np.sqrt(1 / found.se[0] ** 2 + 1 / sd**2)), rel=1e-6)


def test_turning_the_comparison_round_changes_no_boundary_and_turns_every_sign():
    one, other = monitor(STUDIES, "drug", "placebo", effect=1.5), monitor(STUDIES, "placebo", "drug", effect=1 / 1.5)
    assert other.z == pytest.approx(-one.z)
    assert other.limit == pytest.approx(one.limit)
    assert other.sceptical == pytest.approx(one.sceptical)


def test_a_gain_is_turned_into_the_odds_ratio_at_the_pooled_risk():
    risk = (30 + 28 + 27 + 33) / 400
    expected = np.log((risk + 0.1) / (1 - risk - 0.1) / (risk / (1 - risk)))
    assert monitor(STUDIES, gain=0.1).anticipated == pytest.approx(expected)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "name the effect"),
        ({"effect": 1.0}, "no difference"),
        ({"effect": -2.0}, "above 0"),
        ({"gain": 0.9}, "not possible"),
        ({"effect": 1.5, "gain": 0.1}, "not both"),
        ({"effect": 1.5, "power": 1.0}, "power"),
        ({"effect": 1.5, "alpha": 0.0}, "alpha"),
        ({"effect": 1.5, "order": ("a",)}, "leaves out"),
    ],
)
def test_what_cannot_be_asked_is_refused(asked, said):
    with pytest.raises(UsageError, match=said):
        monitor(STUDIES, **asked)


def test_studies_are_looked_at_in_the_order_given():
    assert monitor(STUDIES, effect=1.5, order=("d", "c", "b", "a")).pair.study == ("d", "c", "b", "a")


@pytest.mark.parametrize("k", [1, 4, 40])
def test_the_figure_is_drawn_and_said(k):
    frame = monitor(network(*((f"s{i}", 40, 30) for i in range(k))), effect=1.5).to_frame()
    assert draw(lambda: plot.chart(frame, names=("drug", "placebo"))).startswith("<svg")
    assert f"over {k} studies" in plot.alt_text(frame, names=("drug", "placebo"))


def test_a_name_in_the_figure_is_text():
    frame = monitor(network(("<script>alert(1)</script>", 40, 30)), effect=1.5).to_frame()
    assert "<script" not in draw(lambda: plot.chart(frame))
