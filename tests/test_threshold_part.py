"""Thresholds as a part of a review: its settings, its chapter, its record."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import enthesis as en
from enthesis.assess.threshold_part import compute, read_settings
from enthesis.errors import DataError, UsageError
from enthesis.estimands import plain
from enthesis.report.render.json import schema, words
from enthesis.report.thresholds import as_json, messages, sections


@pytest.fixture(scope="module")
def run():
    rows = [
        dict(study=s, treatment=t, events=r, n=100)
        for s, t, r in (
            ("1", "placebo", 20),
            ("1", "a", 45),
            ("2", "placebo", 22),
            ("2", "b", 40),
            ("3", "a", 44),
            ("3", "b", 42),
        )
    ]
    network = en.from_table(rows, measure="OR", reference="placebo", better="higher")
    fit = en.fit(network, en.Model(heterogeneity=en.Common()), engine="gls")
    answer = SimpleNamespace(question=SimpleNamespace(id="q", title="The question"), fit=fit, problem="", problems={})
    silent = SimpleNamespace(question=SimpleNamespace(id="none", title="No data"), fit=None, problem="No study.",
                             problems={})  # fmt: skip

    def answer_of(id):
        if id == "late":
            raise UsageError("question 'late' is not known.")
        return {"q": answer, "none": silent}[id]

    review = SimpleNamespace(questions=[SimpleNamespace(id=i) for i in ("q", "none", "late")])
    return SimpleNamespace(answer=answer_of, review=review)  # fmt: skip


def settings(folder, *decisions):
    path = folder / "thresholds.toml"
    path.write_text("\n".join(f"[[decision]]\n{d}" for d in decisions), encoding="utf-8")
    return path


def test_each_decision_has_its_thresholds(run, tmp_path):
    found = compute(run, settings(tmp_path, 'question = "q"', 'question = "q"\nrule = "top"\nk = 2'), {})
    assert [d.chosen for d in found.decisions] == [("a",), ("a", "b")]
    assert [len(d.table) for d in found.decisions] == [3, 3]


def test_a_margin_is_given_as_people_read_it(run, tmp_path):
    """Odds ratios of about 3.3 and 2.4: one of two is above 3."""
    one = compute(run, settings(tmp_path, 'question = "q"\nrule = "superior"\nmargin = 2.9'), {}).decisions[0]
    assert (one.chosen, one.words) == (("a",), "all treatments better than placebo (odds ratio above 2.9)")


def test_a_question_without_a_fit_says_why(run, tmp_path):
    found = compute(run, settings(tmp_path, 'question = "none"', 'question = "late"'), {})
    assert [d.problem for d in found.decisions] == ["No study.", "question 'late' is not known."]
    assert "No study." in words(sections(found, run, ())[0].sections[0].blocks[0].parts)


def test_the_chapter_says_on_what_a_decision_hangs(run, tmp_path):
    found = compute(run, settings(tmp_path, 'question = "q"'), {})
    said = words(sections(found, run, ())[0].sections[0].blocks[0].parts)
    assert "The best treatment: a. It hangs on 3 of the 3 data points" in said
    assert "1 hang on single data points" in words(messages(found, run, ())[0])


def test_a_bias_is_told_by_its_smallest_size(run, tmp_path):
    found = compute(run, settings(tmp_path, 'question = "q"\nbias = "treatment"'), {})
    assert "The smallest bias that changes it is that of" in words(
        sections(found, run, ())[0].sections[0].blocks[0].parts
    )


def test_the_record_meets_the_schema(run, tmp_path):
    import jsonschema

    found = compute(
        run, settings(tmp_path, 'question = "q"', 'question = "none"', 'question = "q"\nbias = "class"'), {}
    )
    jsonschema.validate(plain(as_json(found, run))["thresholds"], schema()["properties"]["thresholds"])


@pytest.mark.parametrize(
    ("text", "match"),
    [('question = "q"\nrule = "bets"', "best, rank"), ('question = "q"\nmargin = -1', "0 or more"),
     ('question = "q"\nmargn = 1', "Did you mean 'margin'"), ('question = "qq"', "question 'qq'"),
     ('rule = "best"', "is missing"), ('question = "q"\nk = 1.5', "whole number"),
     ('question = "q"\nlevel = "arm"', "study, comparison")],
)  # fmt: skip
def test_a_mistake_in_the_settings_is_named(run, tmp_path, text, match):
    with pytest.raises(DataError, match=match):
        compute(run, settings(tmp_path, text), {})


def test_the_settings_of_the_flagship_can_be_read():
    from enthesis.evidence import bundled_folder

    assert read_settings(bundled_folder().parent / "thresholds.toml")
