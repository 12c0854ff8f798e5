"""The figures of an assessment: each draws for 2 and for 60 treatments, says itself in words, and fits nothing."""

from __future__ import annotations

import ast
import inspect
import json

import numpy as np
import pandas as pd
import pytest

import enthesis as en
from enthesis.assess import influence as diagnostics
from enthesis.assess.contribution import contributions, study_contributions
from enthesis.assess.leave_out import cumulative, leave_one_comparison_out, leave_one_study_out
from enthesis.assess.net_heat import net_heat
from enthesis.assess.node_splitting import node_splits
from enthesis.assess.ranking import cumulative_ranks, partial_order
from enthesis.assess.small_study import comparison_adjusted_funnel
from enthesis.assess.trim_fill import trim_and_fill
from enthesis.report.plots import PLOTS
from enthesis.report.plots.node_split import lines
from enthesis.report.render.svg import draw

OURS = ("baujat", "contour_funnel", "contribution", "cumulative", "funnel", "hasse", "influence", "leave_one_out",
        "litmus", "net_heat", "node_split")  # fmt: skip


def network(treatments: int, studies: int, seed: int = 3):
    """Two-arm studies round a circle of treatments and across it, one of three arms; normal data."""
    rng = np.random.default_rng(seed)
    names = ["placebo", *(f"treatment {i}" for i in range(1, treatments))]
    rows = []
    for s in range(studies):
        a = s % treatments
        b = (a + 1 + (s // treatments) % max(treatments // 2, 1)) % treatments
        for arm in {a, b, 0} if s == 1 else {a, b}:
            n = int(rng.integers(20, 300))
            mean = 0.1 * arm + rng.normal(0, 1 / np.sqrt(n)) + rng.normal(0, 0.15)
            rows.append({"study": f"S{s:03d}", "treatment": names[arm], "mean": mean, "sd": 1.0, "n": n})
    return en.from_table(rows, measure="MD", reference="placebo", better="higher")


def small(*studies: tuple[str, str]):
    rows = [
        {"study": name, "treatment": t, "mean": m, "sd": 1.0, "n": 50}
        for name, pair in studies
        for t, m in zip(pair, (0.0, 0.5), strict=True)
    ]
    return en.from_table(rows, measure="MD", reference="A")


def tables(treatments: int, studies: int) -> dict[str, tuple[pd.DataFrame, dict]]:
    fit = en.fit(network(treatments, studies), engine="gls", tau="DL")
    effect = en.relative_effects(fit, comparator="placebo").iloc[0]
    whole = {"whole": (effect.estimate, effect.lower, effect.upper)}
    one = effect.treatment
    out = leave_one_study_out(fit, keep_tau=True)
    added = cumulative(fit)
    order = partial_order(pd.DataFrame({"treatment": fit.treatments, "benefit": fit.estimate,
                                        "harm": -np.abs(np.arange(len(fit.treatments)) - 3.0)}))  # fmt: skip
    two = en.fit(network(2, 6), engine="gls")
    filled = trim_and_fill(two.network, treatment="treatment 1")
    pairs = [(t, "placebo") for t in fit.treatments if t != "placebo"]
    return {
        "baujat": (diagnostics.baujat(fit), {}),
        "contour_funnel": (filled.studies, {"centre": filled.unadjusted}),
        "contribution": (contributions(fit, comparisons=pairs), {}),
        "cumulative": (added[added.treatment == one], whole),
        "funnel": (comparison_adjusted_funnel(fit, order=list(fit.treatments)), {}),
        "hasse": (order.to_frame(), {"edges": order.edges()}),
        "influence": (diagnostics.influence(fit), {}),
        "leave_one_out": (out[out.treatment == one], whole),
        "litmus": (cumulative_ranks(fit), {}),
        "net_heat": (net_heat(fit), {}),
        "node_split": (lines(node_splits(fit)), {}),
    }


@pytest.fixture(scope="module", params=[(2, 6), (60, 70)], ids=["2 treatments", "60 treatments"])
def examples(request):
    return tables(*request.param)


def test_every_plot_of_an_assessment_is_in_the_list_of_plots():
    assert set(OURS) <= set(PLOTS)


@pytest.mark.parametrize("name", OURS)
def test_a_plot_draws(examples, name):
    table, options = examples[name]
    assert draw(lambda: PLOTS[name].chart(table, **options)).startswith("<svg")


@pytest.mark.parametrize("name", OURS)
def test_a_plot_is_a_valid_specification(examples, name):
    table, options = examples[name]
    assert "$schema" in PLOTS[name].chart(table, **options).to_dict()


@pytest.mark.parametrize("name", OURS)
def test_a_plot_says_itself_in_words(examples, name):
    table, options = examples[name]
    said = PLOTS[name].alt_text(table, **options)
    assert len(said) > 40
    assert "nan" not in said.split()


@pytest.mark.parametrize("name", OURS)
def test_a_plot_leaves_its_table_as_it_was(examples, name):
    table, options = examples[name]
    before = table.copy(deep=True)
    PLOTS[name].chart(table, **options)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("name", OURS)
def test_a_plot_imports_nothing_that_fits(name):
    tree = ast.parse(inspect.getsource(PLOTS[name]))
    named = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [m for m in named if m and m.startswith(("enthesis.assess", "enthesis.inference", "enthesis.models"))]


def test_the_figure_of_a_study_without_which_a_link_is_lost_says_so():
    fit = en.fit(small(("1", "AB"), ("2", "AB"), ("3", "BC")), engine="gls")
    out = leave_one_study_out(fit)
    table = out[out.treatment == "C"]
    assert "Not estimable: 3" in PLOTS["leave_one_out"].alt_text(table, whole=(1.0, 0.5, 1.5))


def test_bars_turn_into_a_heat_map_when_parts_cannot_be_told_apart(examples):
    fit = en.fit(network(8, 40), engine="gls", tau="DL")
    chart = PLOTS["contribution"].chart(study_contributions(fit), of="study")
    assert chart.to_dict()["layer"][0]["mark"]["type"] == "rect"


def test_the_shares_of_a_bar_sum_to_one():
    table = pd.DataFrame([[0.7, 0.289, 0.011]], index=["B : A"], columns=["B : A", "C : A", "C : B"])
    (values,) = PLOTS["contribution"].chart(table).to_dict()["datasets"].values()
    assert sum(row["share"] for row in json.loads(values)) == pytest.approx(1)


def test_a_hostile_name_stays_text():
    name = '<script>alert(1)</script>"; datum.x'
    table = pd.DataFrame({"study": [name, "b"], "Q": [1.0, 2.0], "influence": [0.5, 0.1], "ok": [True, True]})
    assert "<script" not in draw(lambda: PLOTS["baujat"].chart(table))


def test_a_network_without_loops_says_that_nothing_can_be_split():
    fit = en.fit(small(("1", "AB"), ("2", "AC")), engine="gls")
    assert "no comparison has both" in PLOTS["node_split"].alt_text(lines(node_splits(fit)))


def test_comparisons_out_are_drawn_like_studies_out():
    fit = en.fit(network(4, 12), engine="gls", tau="DL")
    table = leave_one_comparison_out(fit)
    table = table[table.treatment == "treatment 1"]
    assert draw(lambda: PLOTS["leave_one_out"].chart(table, whole=(0.1, 0.0, 0.2))).startswith("<svg")
