"""Plots: a table in, a chart out, for 2 and for 60 treatments; what is not a drawing does not reach the page."""

import numpy as np
import pandas as pd
import pytest

from enthesis.report.plots import PLOTS, forest, league, network_graph
from enthesis.report.render.svg import draw, inline

HOSTILE = '<script>alert("x")</script>'


def names(n):
    return ["placebo", *(f"drug {i}" for i in range(1, n))]


def network_table(n):
    nodes = [
        {"kind": "treatment", "treatment": t, "comparator": "", "group": f"class {i % 7}", "n_studies": 2,
         "n_patients": 100.0 * (i + 1)} for i, t in enumerate(names(n))
    ]  # fmt: skip
    lines = [
        {"kind": "comparison", "treatment": t, "comparator": "placebo", "group": "", "n_studies": 1 + i % 4,
         "n_patients": 50.0} for i, t in enumerate(names(n)[1:])
    ]  # fmt: skip
    return pd.DataFrame(nodes + lines)


def effects_table(n):
    at = np.linspace(0.4, 5, n)
    return pd.DataFrame(
        {
            "label": names(n), "estimate": at, "lower": at / 2, "upper": at * 2, "strong": [i == 1 for i in range(n)],
            "predicted_lower": at / 3, "predicted_upper": at * 3, "twin": at * 1.05, "twin_lower": at / 2.1,
            "twin_upper": at * 2, "group": [f"class {i % 3}" for i in range(n)],
        }
    )  # fmt: skip


def league_table(n):
    effect = dict(zip(names(n), np.linspace(0, 1.5, n)))
    rows = [(a, b, np.exp(effect[a] - effect[b])) for a in effect for b in effect if a != b]
    table = pd.DataFrame(rows, columns=["treatment", "comparator", "estimate"])
    return table.assign(lower=table["estimate"] / 2, upper=table["estimate"] * 2)


def rank_table(n):
    table = pd.DataFrame(np.full((n, n), 1 / n), columns=[f"rank_{i + 1}" for i in range(n)])
    return table.assign(treatment=names(n), effect="1.2 (1.0 to 1.4)", mean_rank=(n + 1) / 2, strong=False)


def absolute_table(n):
    parts = []
    for label, risk in (("low", 0.1), ("high", 0.3)):
        at = np.linspace(risk, 0.9, n)
        parts.append(
            pd.DataFrame(
                {
                    "baseline": label, "baseline_risk": risk, "treatment": names(n), "per_1000": 1000 * at,
                    "per_1000_lower": 900 * at, "per_1000_upper": 1050 * at,
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def flow_table(n):
    out = [(f"rule {i}", "out", 3, 1) for i in range(min(n, 20))]
    return pd.DataFrame([("all", "kept", 100, 40), *out, ("used", "kept", 10, 9)],
                        columns=["stage", "kind", "rows", "studies"])  # fmt: skip


TABLES = {
    "network_graph": (network_table, {"focus": "class 1", "reference": "placebo"}),
    "forest": (effects_table, {"measure": "odds ratio", "log": True, "band": (0.8, 1.25), "twin": "frequentist"}),
    "league": (league_table, {"measure": "odds ratio", "log": True}),
    "rankogram": (rank_table, {}),
    "absolute": (absolute_table, {"outcome": "response", "comparator": "placebo"}),
    "flow": (flow_table, {}),
}


def test_every_plot_tried_here_has_a_name():
    assert set(TABLES) <= set(PLOTS)


@pytest.mark.parametrize("n", [2, 60])
@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_plot_follows_the_schema_and_draws(name, n):
    table, options = TABLES[name]
    chart = PLOTS[name].chart(table(n), **options)
    chart.to_dict(validate=True)
    svg, width, height = inline(draw(lambda: chart), "a", "words")
    assert svg.startswith("<svg")
    assert 100 < width < 1400
    assert 20 < height < 2200


@pytest.mark.parametrize("name", ["network_graph", "forest", "league", "rankogram", "absolute"])
def test_every_treatment_is_named_in_the_drawing(name):
    table, options = TABLES[name]
    svg = draw(lambda: PLOTS[name].chart(table(9), **options))
    assert [t for t in names(9) if f">{t}<" not in svg] == []


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_plot_leaves_its_table_as_it_was(name):
    table, options = TABLES[name]
    given = table(5)
    before = given.copy()
    PLOTS[name].chart(given, **options)
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize("n", [2, 60])
@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_text_alternative_is_a_sentence_with_numbers(name, n):
    table, options = TABLES[name]
    said = PLOTS[name].alt_text(table(n), **options)
    assert said.endswith(".")
    assert any(c.isdigit() for c in said)
    assert "nan" not in said


def test_the_forest_says_how_many_intervals_exclude_no_difference():
    table = effects_table(4).assign(estimate=[1, 2, 3, 0.2], lower=[0.5, 1.5, 2, 0.1], upper=[2, 3, 4, 0.4])
    assert "The interval of 3 of 4 excludes no difference." in forest.alt_text(table, log=True)


def test_the_forest_axis_is_not_stretched_by_one_wide_interval():
    table = effects_table(9)
    table.loc[3, "upper"] = 1e9
    assert forest.limits(table, True)[1] < 1000


def test_the_league_colours_the_same_cell_the_other_way_when_lower_is_better():
    table = league_table(4)
    assert np.allclose(league.tones(table, True, "higher"), -league.tones(table, True, "lower"))


def test_the_league_is_antisymmetric():
    table = (
        league_table(4).assign(tone=lambda t: league.tones(t, True, "higher")).set_index(["treatment", "comparator"])
    )
    assert all(np.isclose(tone, -table.loc[(b, a), "tone"]) for (a, b), tone in table["tone"].items())


def test_a_hub_stands_in_the_middle():
    nodes, lines = network_graph._split(network_table(9))
    placed = network_graph._placed(nodes, lines).set_index("treatment")
    assert tuple(placed.loc["placebo", ["x", "y"]]) == (0.0, 0.0)


def test_hostile_names_are_text_in_the_drawing():
    table = effects_table(3).assign(label=["placebo", HOSTILE, 'a" onload="alert(1)'])
    svg, _, _ = inline(draw(lambda: forest.chart(table, log=True)), "a", HOSTILE)
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


def test_only_drawing_elements_pass():
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9">'
        '<script>x()</script><a xlink:href="javascript:x()"><text>in</text></a><image href="http://h/i.png"/>'
        '<g onclick="x()" style="fill:url(http://h/f)"><rect fill="url(http://h/f)" clip-path="url(#c)"/></g>'
        '<clipPath id="c"><rect/></clipPath></svg>'
    )
    clean, _, _ = inline(svg, "p", "words")
    assert [bad for bad in ("script", "href", "image", "onclick", "http://h", "style", "<a") if bad in clean] == []
    assert 'clip-path="url(#p-0)"' in clean
    assert 'id="p-0"' in clean
