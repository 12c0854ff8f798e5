"""The safety chapter and its figures: every outcome says what is own, what is borrowed, and whether the two agree."""

import math
import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from enthesis.assess.rates import RateRow, pool_rates
from enthesis.assess.safety import safety
from enthesis.assess.safety_settings import read_safety
from enthesis.evidence import bundled_evidence, bundled_folder
from enthesis.report.plots import PLOTS
from enthesis.report.plots import rates as rates_plot
from enthesis.report.plots.theme import ACCENT, FAINT
from enthesis.report.render.html import render
from enthesis.report.render.svg import draw
from enthesis.report.safety import limits, messages, sections
from enthesis.report.values import Document, Figure, Folded, Table, Text

FOLDER = bundled_folder().parent
#: with own data and borrowed ones, with neither side's comparison, and without any ratio
SHOWN = ("SERINF", "MACE", "IBD")


@pytest.fixture(scope="module")
def value():
    return safety(bundled_evidence(), read_safety(FOLDER / "safety.toml"), FOLDER / "overlaps.toml", only=SHOWN)


@pytest.fixture(scope="module")
def chapter(value):
    return sections(value, None, ())[0]


def everything(blocks):
    for block in blocks:
        yield block
        if isinstance(block, Folded):
            yield from everything(block.blocks)


def blocks_of(section):
    yield from everything(section.blocks)
    for inner in section.sections:
        yield from blocks_of(inner)


@pytest.mark.parametrize("outcome", SHOWN)
def test_every_outcome_says_what_is_own_what_is_borrowed_and_whether_they_agree(chapter, outcome):
    section = next(s for s in chapter.sections if s.id == f"safety-{outcome}")
    lead = next(b for b in section.blocks if isinstance(b, Text))
    told = "".join(str(part) for block in section.blocks for part in getattr(block, "items", ()))
    assert lead.kind == "lead"
    for word in ("Own data: ", "Borrowed: ", "Agreement: "):
        assert word in told


def test_every_profile_has_absolute_numbers(chapter, value):
    section = next(s for s in chapter.sections if s.id == "safety-profiles")
    tables = [b for b in blocks_of(section) if isinstance(b, Table)]
    assert len(tables) == 1 + len(value.settings.profile)


def test_places_in_the_chapter_have_names_of_their_own(chapter):
    names = [b.id for b in blocks_of(chapter) if isinstance(b, Table | Figure)]
    assert len(names) == len(set(names))


def test_the_chapter_becomes_a_page_without_a_number_that_is_none(chapter):
    page = render(Document(title="t", sections=(chapter,)))
    assert "nan" not in page.lower().replace("nano", "").split("<svg")[0]
    assert "Carried over to axSpA" in page


def test_messages_and_limits_say_how_few_own_data_there_are(value):
    told = " ".join(str(part) for parts in (*messages(value, None, ()), *limits(value, None, ())) for part in parts)
    assert "309 patient-years" in told
    assert "no axSpA rate by age, smoking" in told


GROUPS = pool_rates(
    [RateRow(id=f"R{i}", study_id=f"S{i}", treatment="a" if i < 3 else "b", outcome="HZ", rate_of="events", events=r,
             exposure=100.0) for i, r in enumerate([3, 0, 5, 2])]
)  # fmt: skip
WEIGHTS = pd.DataFrame({"weight": [0, 0.5, 1], "estimate": [0.2, 0.6, 1.5], "lower": [0.001, 0.3, 1.1],
                        "upper": [30.0, 1.4, 2.0]})  # fmt: skip
CURVES = pd.DataFrame({"curve": ["own"] * 3 + ["posterior"] * 3, "ratio": [0.1, 1, 10] * 2,
                       "density": [0.0, 1.0, 0.2, 0.1, 2.0, 0.0]})  # fmt: skip
ICONS = pd.DataFrame({"side": ["TNFi", "JAKi"], "per_1000": [72.4, 1200.0], "lower": [40.0, math.nan],
                      "upper": [110.0, math.nan]})  # fmt: skip
FIGURES = {
    "rates": (rates_plot.table_of(GROUPS), {}, "Lowest: S1 (0 events in 100 PY) 0.00 (0.00 to 3.69)"),
    "borrowing_weight": (
        WEIGHTS,
        {"weight": 0.5},
        "The interval excludes 1 from weight 1 to 1. The review uses weight 0.5.",
    ),
    "borrowed_own": (CURVES, {}, "own data alone: most plausible 1.00"),
    "icon_array": (ICONS, {"title": "over 5 years"}, "TNFi: 72 of 1,000 (40 to 110); JAKi: 1200 of 1,000"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_as_a_picture(name):
    table, options, _ = FIGURES[name]
    assert ET.fromstring(draw(lambda: PLOTS[name].chart(table, **options))).tag.endswith("svg")


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_its_numbers_in_words(name):
    table, options, words = FIGURES[name]
    assert words in PLOTS[name].alt_text(table, **options)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_nothing_says_so(name):
    table, options, _ = FIGURES[name]
    assert "No " in PLOTS[name].alt_text(table.iloc[:0], **options) or "without lines" in PLOTS[name].alt_text(
        table.iloc[:0]
    )


def test_as_many_icons_are_filled_as_patients_have_the_event():
    svg = draw(lambda: PLOTS["icon_array"].chart(ICONS.iloc[:1]))
    assert (svg.count(ACCENT), svg.count(FAINT)) == (72, 928)
