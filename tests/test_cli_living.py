"""`enthesis update`, `diff`, `conclusions`, `monitor` and `review run --store`: what they print and with which code."""

import json

import pytest

from enthesis.cli.main import run
from enthesis.evidence import Store
from small_review import add_study, filled, review_folder


@pytest.fixture
def review(tmp_path):
    return review_folder(tmp_path / "review")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.delenv("ENTHESIS_STORE", raising=False)
    monkeypatch.setattr("enthesis.living.review.cores", lambda: 1)
    return filled(tmp_path / "store.sqlite")


def called(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        run([str(a) for a in arguments])
    said = capsys.readouterr()
    return stop.value.code or 0, said.out, said.err


def flip(place):
    with Store.open(place) as store:
        number = store.snapshot().number
        add_study(store, "NR-3", 2024, "nr-axSpA", 55, 20)
        add_study(store, "NR-4", 2024, "nr-axSpA", 55, 22)
    return number


def test_an_update_prints_its_log_and_records_the_run(capsys, review, place):
    code, out, _ = called(capsys, "update", review, "--store", place)
    assert code == 0
    assert "recorded as run 1" in out
    code, out, _ = called(capsys, "update", review, "--store", place)
    assert "Nothing has to be computed again" in out


def test_an_update_as_json_has_the_log(capsys, review, place):
    _, out, _ = called(capsys, "update", review, "--store", place, "--json")
    told = json.loads(out)
    assert [line["question"] for line in told["log"]] == ["r", "nr"]
    assert (told["run"], told["recorded"], told["flips"]) == (1, True, [])


def test_a_flip_gives_exit_code_4_and_a_feed(capsys, review, place, tmp_path):
    called(capsys, "update", review, "--store", place)
    flip(place)
    code, _, err = called(capsys, "update", review, "--store", place, "--feed", tmp_path / "feed")
    assert code == 4
    assert "flipped: K2" in err
    assert "K2 flipped from open to holds" in (tmp_path / "feed" / "feed.rss").read_text()


def test_a_dry_run_writes_nothing(capsys, review, place, tmp_path):
    code, out, _ = called(capsys, "update", review, "--store", place, "--dry-run", "--out", tmp_path / "out")
    assert code == 0
    assert "4 fits would be computed" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["review", "store.sqlite"]


def test_a_diff_is_a_paragraph_and_a_table(capsys, review, place):
    old = flip(place)
    code, out, _ = called(capsys, "diff", f"{old}..HEAD", "--review", review, "--store", place)
    assert code == 4
    assert "2 studies added (NR-3 and NR-4)" in out
    assert "What moved, step by step" in out


def test_a_diff_from_the_last_run_needs_no_number(capsys, review, place):
    code, _, err = called(capsys, "diff", "..", "--review", review, "--store", place)
    assert code == 2
    assert "no run of this review is recorded" in err
    called(capsys, "update", review, "--store", place)
    flip(place)
    code, out, _ = called(capsys, "diff", "..HEAD", "--review", review, "--store", place, "--json")
    assert json.loads(out)["studies"]["added"] == ["NR-3", "NR-4"]


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ("HEAD", "write A..B"),
        ("1..2..3", "write A..B"),
        ("nothing..HEAD", "no snapshot"),
        ("1999..HEAD", "knew nothing"),
    ],
)
def test_a_wrong_span_is_a_sentence(capsys, review, place, span, said):
    code, _, err = called(capsys, "diff", span, "--review", review, "--store", place)
    assert code == 2
    assert said in err


def test_conclusions_are_printed_with_their_thresholds(capsys, review, place):
    code, out, _ = called(capsys, "conclusions", review, "--store", place)
    assert code == 0
    assert "drug works in radiographic disease" in out
    code, out, _ = called(capsys, "conclusions", review, "--store", place, "--as-of", "2018", "--json")
    assert [c["state"] for c in json.loads(out)["conclusions"]] == ["holds", "unknown"]


def test_conclusions_tell_a_flip_against_the_last_run(capsys, review, place):
    called(capsys, "update", review, "--store", place)
    flip(place)
    code, out, _ = called(capsys, "conclusions", review, "--store", place)
    assert code == 4
    assert "holds (was open)" in out


def test_conclusions_over_time_are_a_table_and_a_figure(capsys, review, place, tmp_path):
    arguments = ("--over-time", "--date", "2018", "--date", "today", "--figure", tmp_path / "t.svg")
    code, out, _ = called(capsys, "conclusions", review, "--store", place, *arguments)
    assert code == 0
    assert "2018-12-31" in out
    assert (tmp_path / "t.svg").read_text().startswith("<svg")


def test_a_run_at_a_date_uses_what_was_published_then(capsys, review, place, tmp_path):
    arguments = ("--store", place, "--as-of", "2018", "--out", tmp_path / "out", "--json")
    code, out, _ = called(capsys, "review", "run", review, *arguments)
    assert code == 0
    assert {q["question"]: q["studies"] for q in json.loads(out)["questions"]} == {"r": 2, "nr": 0}
    assert not (tmp_path / "store.sqlite.living" / "runs").exists()


def test_a_run_on_the_newest_snapshot_of_a_store_is_recorded(capsys, review, place, tmp_path):
    called(capsys, "review", "run", review, "--store", place, "--out", tmp_path / "out")
    assert (tmp_path / "store.sqlite.living" / "runs" / "000001.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("conclusions", "{review}", "--store", "{store}", "--as-of", "soon"), "not a date"),
        (("conclusions", "{review}", "--known-at", "2024"), "name it with --store"),
        (("conclusions", "{review}", "--figure", "x.svg"), "belong to --over-time"),
        (("review", "run", "{review}", "--known-at", "2024", "--out", "{tmp}"), "name it with --store"),
        (("update", "{review}", "--store", "{tmp}/none.sqlite"), "There is no store"),
        (("update", "{review}", "--store", "{store}", "--out", "{store}"), "is a file"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(capsys, review, place, tmp_path, arguments, said):
    filled_in = [a.format(review=review, tmp=tmp_path, store=place) for a in arguments]
    code, _, err = called(capsys, *filled_in)
    assert code in (1, 2)
    assert said in err
    assert "Traceback" not in err


def test_a_comparison_is_monitored_from_a_table(capsys, tmp_path):
    rows = ["study,treatment,events,n"]
    for study, drug in (("a", 40), ("b", 46), ("c", 52)):
        rows += [f"{study},placebo,25,100", f"{study},drug,{drug},100"]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(rows))
    code, out, _ = called(capsys, "monitor", table, "--effect", "1.5", "--json", "-")
    told = json.loads(out)
    assert code == 0
    assert [look["study"] for look in told["looks"]] == ["a", "b", "c"]
    code, _, err = called(capsys, "monitor", table)
    assert code == 2
    assert "name the effect" in err
