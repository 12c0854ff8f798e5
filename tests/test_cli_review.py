"""`enthesis review`: what it says of a run, and when it is not content. The run itself is tested in test_review."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

import enthesis.living.review as living
from enthesis.cli.main import run


def called(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        run([str(a) for a in arguments])
    said = capsys.readouterr()
    return stop.value.code or 0, said.out, said.err


def finished(*, ok=True, problem="", elsewhere=False):
    """A run of one question, as far as the command reads it."""
    fit = SimpleNamespace(status=SimpleNamespace(ok=ok, message="Weights are unreliable."))
    answer = SimpleNamespace(
        question=SimpleNamespace(id="asas40"), fits={} if problem else {"random": fit}, problems={}, problem=problem
    )
    line = {"question": "asas40", "studies": 3, "treatments": 2, "rows_used": 6, "rows_out": 1, "status": "fine"}
    return SimpleNamespace(
        main=None if elsewhere else answer,
        review=SimpleNamespace(id="axspa"),
        evidence=SimpleNamespace(content_hash="e" * 64),
        content_hash="r" * 64,
        seconds=1.25,
        answers=(answer,),
        overview=lambda: pd.DataFrame([line]),
    )


@pytest.fixture
def asked(monkeypatch):
    """What the command asks of `run_review`, which answers with `asked["run"]`."""
    seen = {"run": finished()}

    def run_review(name, out, only, progress, **_):
        seen.update(name=name, out=out, only=only)
        progress(1, 2, "asas40")
        return seen["run"]

    monkeypatch.setattr(living, "run_review", run_review)
    return seen


def test_it_says_where_the_report_is(capsys, asked, tmp_path):
    code, out, _ = called(capsys, "review", "run", "axspa", "--out", tmp_path)
    assert code == 0
    assert f"The report is at {tmp_path / 'report.html'}" in out


def test_outcomes_are_passed_on_and_the_folder_has_a_default(capsys, asked):
    called(capsys, "review", "run", "axspa", "--only", "ASAS40", "--only", "BASDAI50")
    assert (asked["only"], str(asked["out"])) == (["ASAS40", "BASDAI50"], "axspa-report")


def test_json_says_the_same(capsys, asked, tmp_path):
    code, out, _ = called(capsys, "review", "run", "axspa", "--out", tmp_path, "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["review"], told["not_ok"]) == ("axspa", [])
    assert told["report"] == str(tmp_path / "report.html")
    assert told["questions"][0]["studies"] == 3


@pytest.mark.parametrize("wrong", [{"ok": False}, {"problem": "No study is left."}], ids=["status", "no answer"])
def test_no_answer_to_the_main_question_is_exit_code_4_and_says_why(capsys, asked, tmp_path, wrong):
    asked["run"] = finished(**wrong)
    code, out, err = called(capsys, "review", "run", "axspa", "--out", tmp_path)
    assert code == 4
    assert "not ok: asas40" in err
    assert "The report is at" in out


def test_doubt_in_another_question_is_said_and_is_no_failure(capsys, asked, tmp_path):
    asked["run"] = finished(ok=False, elsewhere=True)
    code, _, err = called(capsys, "review", "run", "axspa", "--out", tmp_path)
    assert code == 0
    assert "not ok: asas40 random: Weights are unreliable." in err


def test_an_unknown_review_is_refused_with_the_known_ones(capsys):
    code, _, err = called(capsys, "review", "run", "axspaa")
    assert code == 2
    assert "axspa" in err


def test_bundled_reviews_are_listed(capsys):
    code, out, _ = called(capsys, "review", "list", "--json")
    assert code == 0
    assert [r["review"] for r in json.loads(out)] == ["axspa"]
