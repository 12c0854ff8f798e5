"""Updates: only what new rows touch is computed, and nothing is lost or doubled whatever happens meanwhile."""

import errno
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import enthesis.living.review as living
from enthesis.errors import StoreError
from enthesis.evidence import Store
from enthesis.living import cache, history
from enthesis.living.cache import Kept
from enthesis.living.history import History, living_folder
from enthesis.living.review import Review, run_review
from enthesis.living.update import update
from small_review import FILES, add_study, filled, review_folder

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="updates are forked")


@pytest.fixture
def review(tmp_path):
    return Review.load(review_folder(tmp_path / "review"))


@pytest.fixture
def place(tmp_path):
    return filled(tmp_path / "store.sqlite")


@pytest.fixture
def fits(monkeypatch):
    """Every fit that is made, as (question's population, engine)."""
    made = []
    fit = living.fit

    def counted(network, *rest, **more):
        made.append((network.studies, more["engine"]))
        return fit(network, *rest, **more)

    monkeypatch.setattr(living, "fit", counted)
    return made


def updated(review, place, **more):
    with Store.open(place) as store:
        return update(review, store, **more)


def test_a_second_update_on_the_same_evidence_computes_nothing(review, place, fits):
    updated(review, place)
    first = len(fits)
    again = updated(review, place)
    assert (first, len(fits)) == (4, 4)
    assert not again.recorded
    assert "Nothing has to be computed again" in again.sentences()


def test_a_new_study_refits_only_the_question_that_it_touches(review, place, fits):
    updated(review, place)
    fits.clear()
    with Store.open(place) as store:
        add_study(store, "R-4", 2024, "r-axSpA", 60, 20)
    done = updated(review, place)
    assert [studies[-1] for studies, _ in fits] == ["R-4", "R-4"]
    assert {line.question: line.state for line in done.log} == {"r": "recomputed", "nr": "reused"}


def test_the_log_says_which_rows_of_which_study_were_the_cause(review, place):
    updated(review, place)
    with Store.open(place) as store:
        add_study(store, "R-4", 2024, "r-axSpA", 60, 20)
        new = set(store.evidence().outcomes.query("study_id == 'R-4'").result_id)
    line = next(line for line in updated(review, place).log if line.question == "r")
    assert (set(line.rows), line.studies) == (new, ("R-4",))
    assert "new: R-4" in line.why


def test_a_corrected_number_refits_its_question(review, place, fits):
    updated(review, place)
    fits.clear()
    with Store.open(place) as store:
        evidence = store.evidence()
        fact = evidence.fact(evidence.outcomes.query("study_id == 'NR-1' and arm_id == 'd'").result_id.iloc[0])
        store.supersede(fact.id, {**fact.cells(), "events": "33"}, extractor="test", reason="misread")
    done = updated(review, place)
    assert {engine for _, engine in fits} == {"laplace", "gls"}
    assert next(line.why for line in done.log if line.question == "nr") == "rows behind it: 1 changed"


def test_a_row_that_no_question_asks_for_refits_nothing(review, place, fits):
    updated(review, place)
    fits.clear()
    with Store.open(place) as store:
        add_study(store, "PsA-1", 2024, "PsA", 60, 20)
    assert updated(review, place).recorded
    assert not fits


def test_another_prior_refits_what_it_is_used_for(review, place, fits, tmp_path):
    updated(review, place)
    fits.clear()
    text = FILES["models/random.toml"].replace("half-normal(0.5)", "half-normal(1)")
    done = updated(Review.load(review_folder(tmp_path / "review", models__random=text)), place)
    assert [engine for _, engine in fits] == ["laplace", "laplace"]
    assert {line.why for line in done.log} == {"the same data; another model"}


def test_an_update_gives_the_numbers_of_a_fresh_run(review, place):
    updated(review, place)
    with Store.open(place) as store:
        add_study(store, "R-4", 2024, "r-axSpA", 60, 20)
        fresh = run_review(review, evidence=store.evidence())
    done = updated(review, place)
    for a, b in zip(done.run.answers, fresh.answers, strict=True):
        assert a.fit.estimate.tolist() == b.fit.estimate.tolist()
    assert [r.probability for r in done.run.parts["conclusions"].results] == [
        r.probability for r in fresh.parts["conclusions"].results
    ]


def test_a_dry_run_says_what_would_be_computed_and_writes_nothing(review, place, fits):
    plan = updated(review, place, dry_run=True)
    assert sum(line.fits for line in plan.log) == 4
    assert not fits
    assert not living_folder(str(place)).exists()


def test_a_part_is_computed_again_only_when_something_that_it_read_has_changed(review, place):
    updated(review, place)
    updated(review, place)  # the first had no run before it to compare with
    row = {"drug": "drug", "region": "EU", "indication": "AS", "status": "approved", "source_id": "src-R-1"}
    with Store.open(place) as store:
        store.append("regulatory", row, extractor="test")
    assert updated(review, place).run.parts_reused == {"conclusions": True}
    with Store.open(place) as store:
        add_study(store, "R-4", 2024, "r-axSpA", 60, 20)
    done = updated(review, place)
    assert done.run.parts_reused == {"conclusions": False}
    assert "answer:r" in done.run.parts_why["conclusions"]


def test_a_flip_is_told_against_the_last_recorded_run(review, place):
    updated(review, place)
    with Store.open(place) as store:
        add_study(store, "NR-3", 2024, "nr-axSpA", 55, 20)
        add_study(store, "NR-4", 2024, "nr-axSpA", 55, 22)
    flips = updated(review, place).flips
    assert [(r.conclusion.id, r.before.state, r.state) for r in flips] == [("K2", "open", "holds")]


def test_a_changed_threshold_is_not_called_a_flip(review, place, tmp_path):
    updated(review, place)
    text = FILES["conclusions.toml"].replace("0.95", "0.6")
    done = updated(Review.load(review_folder(tmp_path / "review", conclusions=text)), place)
    assert not done.flips
    assert all(r.new for r in done.run.parts["conclusions"].results)


# Power cuts, two at once, full disks, clocks


def told(*arguments) -> str:
    """What the program of killed updates prints."""
    program = Path(__file__).with_name("killed_updates.py")
    run = subprocess.run(
        [sys.executable, str(program), *map(str, arguments)], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@forks
def test_an_update_killed_at_any_step_leaves_a_history_that_is_read_and_gone_on_with(review, place, tmp_path):
    updated(review, filled(tmp_path / "calm.sqlite"))
    calm = History(living_folder(str(tmp_path / "calm.sqlite"))).records()[0]
    assert int(told("kill", place, review.folder)) >= 4
    updated(review, place)
    (record,) = History(living_folder(str(place))).records()
    assert (record.questions, record.run) == (calm.questions, calm.run)


@forks
def test_what_was_finished_before_a_kill_is_not_computed_again(review, place, fits):
    assert told("kill", place, review.folder, 6) == "1"  # each result on the disk takes two steps
    updated(review, place)
    assert len(fits) < 4


@forks
def test_updates_at_once_lose_nothing_and_keep_one_chain(review, place):
    assert told("together", place, review.folder, 3) == "0 0 0"
    records = History(living_folder(str(place))).records()
    assert len({record.run for record in records}) == 1
    assert [record.number for record in records] == list(range(1, len(records) + 1))


@pytest.mark.parametrize("call", ["fsync", "replace", "link"])
def test_a_full_disk_is_a_sentence_and_the_next_update_succeeds(review, place, monkeypatch, call):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache.os, call, full)
        if call == "link":  # there is room for no copy either
            patch.setattr(cache, "_link", full)
        with pytest.raises(StoreError, match="the disk is full"):
            updated(review, place)
    assert not list(living_folder(str(place)).rglob("*.part"))
    assert updated(review, place).record.number == 1


def test_a_clock_that_goes_backwards_does_not_change_the_order_of_runs(review, place, monkeypatch):
    updated(review, place)
    with Store.open(place) as store:
        add_study(store, "R-4", 2024, "r-axSpA", 60, 20)

    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(1999, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(history, "datetime", Earlier)
    done = updated(review, place)
    assert (done.record.number, done.record.recorded_at[:4], done.before.number) == (2, "1999", 1)
    assert History(living_folder(str(place))).last("small").number == 2


def test_a_record_that_was_changed_is_noticed(review, place):
    updated(review, place)
    path = living_folder(str(place)) / "runs" / "000001.json"
    told = json.loads(path.read_text())
    told["conclusions"][0]["probability"] = 0.5
    path.write_text(json.dumps(told))
    with pytest.raises(StoreError, match="was changed"):
        updated(review, place)


def test_a_record_that_is_gone_is_noticed(review, place):
    updated(review, place)
    with Store.open(place) as store:
        add_study(store, "R-4", 2024, "r-axSpA", 60, 20)
    updated(review, place)
    (living_folder(str(place)) / "runs" / "000001.json").unlink()
    with pytest.raises(StoreError, match="does not follow"):
        updated(review, place)


@pytest.mark.parametrize("damage", [b"", b"torn", b"\0" * 4000])
def test_a_torn_result_is_computed_again_and_not_believed(review, place, fits, damage):
    updated(review, place)
    fits.clear()
    kept = living_folder(str(place)) / "kept"
    for path in kept.glob("*.kept"):
        path.write_bytes(damage)
    assert updated(review, place).run.answers[0].fit.status.ok
    assert len(fits) == 4


def test_results_of_other_code_are_not_used(tmp_path):
    Kept(tmp_path, salt="one")["key"] = 1
    assert "key" not in Kept(tmp_path, salt="two")


def test_kept_results_can_be_read_by_their_owner_only(review, place):
    updated(review, place)
    assert (living_folder(str(place)) / "kept").stat().st_mode & 0o077 == 0


def test_the_review_of_a_record_is_the_one_that_was_run(review, place, tmp_path):
    updated(review, place)
    text = FILES["review.toml"].replace("A small review", "Another title")
    review_folder(tmp_path / "review", review=text)
    records = History(living_folder(str(place)))
    assert records.review_of(records.last("small")).title == "A small review"


def test_a_single_wrong_bit_in_a_kept_result_is_noticed(tmp_path):
    kept = Kept(tmp_path)
    kept["numbers"] = np.arange(100.0)
    (path,) = tmp_path.glob("*.kept")
    raw = bytearray(path.read_bytes())
    raw[-20] ^= 1
    path.write_bytes(raw)
    assert "numbers" not in kept


@forks
def test_runs_that_are_recorded_at_once_get_each_a_number(tmp_path):
    assert told("record", tmp_path, 4, 5) == "0 0 0 0"
    assert len({record.review for record in History(tmp_path).records()}) == 20
