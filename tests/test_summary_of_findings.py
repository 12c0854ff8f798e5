"""The summary of findings: what its sentences may say, and the page as Word, sheet and web page."""

import io
import zipfile
from dataclasses import replace
from functools import cache

import openpyxl
import pytest
from docx import Document

from enthesis.errors import UsageError
from enthesis.living.one_answer import one_rating
from enthesis.report.summary_files import save_summary, summary_section
from enthesis.report.summary_of_findings import frame_of, interpretation, summary_of_findings
from enthesis.report.tables import Reading


@cache
def made():
    run, ratings = one_rating("axspa", "asas40-r-naive")
    reading = Reading(answer=run.answers[0], review=run.review)
    return reading, ratings, summary_of_findings(reading, ratings)


def said(level, size, excludes, **more):
    given = {"good": True, "more": True} | more
    return interpretation("drug", "placebo", "ASAS40 response", level, size, excludes, **given)


@pytest.mark.parametrize(
    ("level", "size", "excludes", "sentence"),
    [
        ("high", "important", True, "Drug increases ASAS40 response compared with placebo."),
        ("moderate", "slight", True, "Drug probably increases ASAS40 response slightly compared with placebo."),
        ("low", "important", True, "Drug may increase ASAS40 response compared with placebo."),
        ("low", "trivial", False, "Drug may make little to no difference to ASAS40 response compared with placebo."),
        ("moderate", "important", False,
         "Drug probably increases ASAS40 response compared with placebo, but the interval includes no difference."),
        ("low", "unsized", False,
         "A difference between drug and placebo in ASAS40 response is neither shown nor excluded."),
        ("very low", "important", True,
         "The evidence is very uncertain about the effect of drug on ASAS40 response compared with placebo."),
    ],
)  # fmt: skip
def test_the_verb_says_how_certain_and_the_adverb_how_large(level, size, excludes, sentence):
    assert said(level, size, excludes) == sentence


def test_fewer_events_are_reduced_and_a_score_is_improved_or_worsened():
    assert "reduces" in said("high", "important", True, more=False)
    assert "improves" in said("high", "important", True, counted=False)
    assert "worsens" in said("high", "important", True, counted=False, good=False)


def test_lines_are_ordered_by_rank_and_have_every_treatment():
    reading, _, summary = made()
    ranks = [float(line.rank.split()[0]) for line in summary.lines]
    assert ranks == sorted(ranks)
    assert {line.treatment for line in summary.lines} == set(reading.fit.treatments) - {"placebo"}


def test_certainty_and_its_letters_are_those_of_the_ratings():
    _, ratings, summary = made()
    letters = dict(summary.footnotes)
    for line in summary.lines:
        rating = ratings.rating(line.treatment, "placebo")
        assert line.certainty == rating.level
        assert len(line.notes.split(",")) == len(rating.down)
        assert set(line.notes.split(",")) <= set(letters)


def test_absolute_effects_are_those_of_the_report():
    reading, _, summary = made()
    line = next(x for x in summary.lines if x.treatment == "upadacitinib")
    risk = reading.middle.loc["upadacitinib"]
    assert line.with_it.startswith(f"{risk['per_1000']:,.0f} (")
    assert line.difference.startswith(f"{abs(risk['difference_per_1000']):,.0f} more")


def test_the_word_page_has_question_geometry_table_and_notes(tmp_path):
    _, _, summary = made()
    path = save_summary(summary, tmp_path / "sof.docx")
    word = Document(str(path))
    grid = word.tables[1]
    assert len(grid.rows) == 2 + len(summary.lines)
    assert grid.rows[2].cells[0].text.startswith(summary.lines[0].treatment)
    assert len(word.inline_shapes) == 1
    text = "\n".join(p.text for p in word.paragraphs)
    assert all(note in text for _, note in summary.footnotes)
    assert word.sections[0].page_width > word.sections[0].page_height


def test_the_picture_in_word_has_a_text_alternative(tmp_path):
    path = save_summary(made()[2], tmp_path / "sof.docx")
    with zipfile.ZipFile(path) as package:
        assert 'descr="Network of treatments: 7 treatments and placebo."' in package.read("word/document.xml").decode()


def test_the_sheet_has_a_row_per_treatment_and_no_formula(tmp_path):
    _, _, summary = made()
    evil = replace(summary, lines=(replace(summary.lines[0], treatment="=cmd()"), *summary.lines[1:]))
    path = save_summary(evil, tmp_path / "sof.xlsx")
    cells = [c for row in openpyxl.load_workbook(io.BytesIO(path.read_bytes())).active.iter_rows() for c in row]
    assert all(c.data_type != "f" for c in cells)
    assert any(str(c.value).startswith("'=cmd()") for c in cells)


def test_the_web_page_needs_no_other_host_and_escapes_names(tmp_path):
    _, _, summary = made()
    evil = replace(summary, lines=(replace(summary.lines[0], treatment="<script>x</script>"), *summary.lines[1:]))
    page = save_summary(evil, tmp_path / "sof.html").read_text(encoding="utf-8")
    assert "<script>x" not in page
    assert "Content-Security-Policy" in page


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"must end in \.docx"):
        save_summary(made()[2], tmp_path / "sof.pdf")


def test_the_same_page_as_plain_values_and_as_a_section():
    _, _, summary = made()
    told = frame_of(summary)
    assert [r["treatment"] for r in told["rows"]] == [line.treatment for line in summary.lines]
    assert len(summary_section(summary).blocks[0].rows) == len(summary.lines)
    assert list(summary.to_frame()["Treatment"]) == [line.treatment for line in summary.lines]


def test_a_question_without_an_answer_has_no_summary():
    with pytest.raises(UsageError, match="cannot be rated"):
        one_rating("axspa", "asas40-nr-ir")
