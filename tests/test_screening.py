"""Screening: the queue, decisions as facts, ranking, the curve on held-back decisions, and when to stop."""

import csv
import io

import numpy as np
import pytest

from enthesis.assess.screening import _missed, curve, rank, stopping, words_of
from enthesis.errors import DataError, UsageError
from enthesis.evidence import Store
from enthesis.evidence.screening import decide, labels_of, queue, read_labels, screened, write_csv
from enthesis.evidence.sources import ris


@pytest.fixture
def store():
    with Store.open(":memory:") as made:
        for at in range(4):
            cells = {"record_id": f"embase:{at}", "kind": "database", "database": "Embase", "title": f"Title {at}",
                     "doi": f"10.1000/{at}"}  # fmt: skip
            made.append("records", cells, extractor="test")
        yield made


def verdict(store, at, decision, reviewer="A", stage="title-abstract", **more):
    return decide(store, f"embase:{at}", decision, reviewer=reviewer, reason="because", stage=stage, **more)


def waiting(store, **more):
    return [record.id for record in queue(store.evidence(), **more)]


def test_a_decision_is_a_fact_with_its_author_and_reason(store):
    fact = verdict(store, 0, "exclude", exclusion="population")
    told = store.evidence().explain(f"fact {fact}")
    assert (told["fact"]["author"], told["fact"]["reason"]) == ("A", "because")
    assert told["row"]["exclusion"] == "population"


def test_a_reviewer_who_decides_again_supersedes_only_the_own_decision(store):
    verdict(store, 0, "exclude")
    verdict(store, 0, "include", reviewer="B")
    verdict(store, 0, "include")
    assert screened(store.evidence())[0].verdicts == {"title-abstract": "include"}


def test_reviewers_who_differ_are_a_conflict_until_consensus(store):
    verdict(store, 0, "exclude")
    verdict(store, 0, "include", reviewer="B")
    assert screened(store.evidence())[0].verdicts["title-abstract"] == "conflict"
    verdict(store, 0, "include", reviewer="consensus")
    assert screened(store.evidence())[0].verdicts["title-abstract"] == "include"


def test_a_queue_holds_what_has_arrived_at_its_stage(store):
    verdict(store, 0, "include")
    verdict(store, 1, "exclude")
    decide(store, "embase:3", "duplicate", reviewer="A", reason="same", stage="duplicate", of="embase:2")
    assert waiting(store) == ["embase:2"]
    assert waiting(store, stage="full-text") == ["embase:0"]
    verdict(store, 0, "not-retrieved", stage="retrieval")
    assert waiting(store, stage="full-text") == []


def test_each_reviewer_has_an_own_queue(store):
    verdict(store, 0, "include")
    assert waiting(store, reviewer="B") == [f"embase:{at}" for at in range(4)]
    assert waiting(store, reviewer="A") == [f"embase:{at}" for at in (1, 2, 3)]


@pytest.mark.parametrize(
    ("words", "error", "what"),
    [
        ({"decision": "includ"}, DataError, "Did you mean 'include'"),
        ({"decision": "exclude", "stage": "full-text"}, DataError, "PRISMA counts reports by it"),
        ({"decision": "include", "exclusion": "outcome"}, DataError, "nothing is excluded"),
        ({"decision": "exclude", "exclusion": "boring"}, DataError, "is not one of"),
        ({"decision": "retrieved"}, DataError, "is not a decision of the stage title-abstract"),
        ({"decision": "include", "stage": "later"}, UsageError, "stage 'later' is not known"),
        ({"decision": "duplicate", "stage": "duplicate"}, DataError, "Name the other record"),
        ({"decision": "duplicate", "stage": "duplicate", "of": "embase:0"}, UsageError, "duplicate of itself"),
        ({"decision": "duplicate", "stage": "duplicate", "of": "embase:9"}, UsageError, "is not known"),
        ({"decision": "report-of", "stage": "study", "of": "NOWHERE"}, UsageError, "study 'NOWHERE' is not known"),
        ({"decision": "include", "reason": " "}, DataError, "is empty"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_and_not_stored(store, words, error, what):
    before = store.snapshot()
    with pytest.raises(error, match=what):
        decide(store, "embase:0", **({"reviewer": "A", "reason": "x", "dry_run": "reason" in words} | words))
    assert store.snapshot() == before


def test_a_dry_run_of_a_decision_stores_nothing(store):
    before = store.snapshot()
    assert verdict(store, 0, "include", dry_run=True) == 0
    assert store.snapshot() == before


# To and from ASReview


def test_labels_survive_the_way_through_a_csv_file(store):
    verdict(store, 0, "include")
    verdict(store, 1, "exclude")
    records = screened(store.evidence())
    text = write_csv(records, labels_of(records))
    assert [row["included"] for row in csv.DictReader(io.StringIO(text))] == ["1", "0", "", ""]
    read = read_labels(text.encode(), "a.csv", store.evidence())
    assert (dict(read.found), read.unlabelled) == ({"embase:0": ("1", ""), "embase:1": ("0", "")}, 2)


def test_labels_survive_the_way_through_a_ris_file(store):
    verdict(store, 0, "include")
    records = screened(store.evidence())
    text = ris.write([r.cells for r in records], labels=labels_of(records))
    read = read_labels(text.encode(), "a.ris", store.evidence())
    assert (dict(read.found), read.unlabelled) == ({"embase:0": ("1", "")}, 3)


@pytest.mark.parametrize("column", ["asreview_label", "Label_Included", "included"])
def test_labels_are_matched_by_doi_or_title_and_the_rest_is_told(store, column):
    text = f"title,doi,{column}\nx,10.1000/2,1\n title  3,,0\nUnknown,,1\nTitle 0,,-1\n"
    read = read_labels(text.encode(), "a.csv", store.evidence())
    assert {id: label for id, (label, _) in read.found.items()} == {"embase:2": "1", "embase:3": "0"}
    assert (read.unmatched, read.unlabelled) == (("Unknown",), 1)


@pytest.mark.parametrize(
    ("text", "what"), [("title\nx\n", "no column of labels"), ("title,included\nx,maybe\n", "is not 1, 0 or empty")]
)
def test_a_file_without_labels_is_refused(store, text, what):
    with pytest.raises(DataError, match=what):
        read_labels(text.encode(), "a.csv", store.evidence())


def test_a_title_that_looks_like_a_formula_is_no_formula_in_the_file(store):
    cells = {"record_id": "embase:f", "kind": "database", "database": "Embase", "title": "=cmd()"}
    store.append("records", cells, extractor="test")
    assert "\n=cmd" not in write_csv(screened(store.evidence()), {}).replace(",=cmd", "\n=cmd")


# Ranking

TOPIC, NOISE = ["spondylitis", "inhibitor", "janus", "asas40"], [f"word{i}" for i in range(60)]


def corpus(included: int, excluded: int, overlap: float = 0.0, seed: int = 5):
    """Texts of which the included ones hold words of a topic, and a share of the excluded ones too."""
    rng = np.random.default_rng(seed)
    texts, labels = {}, {}
    for at in range(included + excluded):
        yes = at < included
        words = list(rng.choice(NOISE, 12)) + (list(rng.choice(TOPIC, 3)) if yes or rng.random() < overlap else [])
        texts[f"r{at}"], labels[f"r{at}"] = " ".join(words), yes
    return texts, labels


def test_records_like_the_included_ones_come_first():
    texts, labels = corpus(10, 40)
    fresh, wanted = corpus(5, 30, seed=6)
    found = [id for id, _ in rank(fresh, labels, texts).order]
    assert {id for id in found[:5]} == {id for id, yes in wanted.items() if yes}


def test_without_both_kinds_of_decisions_the_order_is_that_of_import_and_said_to_be():
    found = rank({"b": "x", "a": "y"}, {"c": True}, {"c": "z"})
    assert [id for id, _ in found.order] == ["b", "a"]
    assert "Not ranked" in found.told


def test_the_order_does_not_depend_on_the_order_of_decisions():
    texts, labels = corpus(6, 20)
    again = dict(reversed(labels.items()))
    fresh, _ = corpus(3, 10, seed=6)
    assert rank(fresh, labels, texts).order == rank(fresh, again, texts).order


def test_texts_without_a_word_are_ranked_without_an_error():
    assert len(rank({"c": ""}, {"a": True, "b": False}, {"a": "", "b": ""}).order) == 1


def test_a_topic_that_words_tell_saves_most_of_the_reading():
    texts, labels = corpus(30, 170)
    found = curve(labels, texts)
    assert found.wss95 > 0.6
    assert found.wss95_lower <= found.wss95 <= found.wss95_upper


def test_words_that_tell_nothing_save_nothing():
    texts, labels = corpus(30, 120, overlap=1.0)
    found = curve(labels, texts)
    assert found.wss95_lower < 0.1
    assert abs(np.interp(0.5, found.effort, found.recall) - 0.5) < 0.2


def test_recall_grows_from_nothing_to_everything():
    texts, labels = corpus(8, 40, overlap=0.3)
    found = curve(labels, texts)
    assert (found.recall[0], found.recall[-1]) == (0, 1)
    assert np.all(np.diff(found.recall) >= 0)
    assert np.all((found.lower <= found.recall) & (found.recall <= found.upper))


def test_few_included_records_are_said_to_be_few():
    texts, labels = corpus(4, 30)
    assert any("Read the interval" in line for line in curve(labels, texts).told)


def test_a_curve_needs_something_to_hold_back():
    with pytest.raises(UsageError, match="at least 2 of each"):
        curve({"a": True, "b": False}, {"a": "x", "b": "y"})


def test_words_of_a_record_are_its_title_abstract_and_keywords():
    assert words_of({"title": "A", "abstract": "b", "keywords": "c"}) == "A A b c"


# Stopping


def test_without_a_random_sample_nothing_is_said_of_unread_records():
    found = stopping(100, 10, [])
    assert (found.missed_upper, found.recall_lower) == (None, None)
    assert "Nothing can be said" in found.told


@pytest.mark.parametrize(("unread", "n", "k"), [(900, 100, 0), (900, 100, 3), (50, 20, 1), (5, 200, 0), (0, 10, 0)])
def test_the_bound_is_the_last_number_that_the_sample_does_not_contradict(unread, n, k):
    """Counted by hand from the definition: P(at most k of n | K of unread + n) > 0.05."""
    from math import comb

    def at_most(total):
        return sum(comb(total, x) * comb(unread + n - total, n - x) for x in range(k + 1)) / comb(unread + n, n)

    wanted = max(total for total in range(k, unread + k + 1) if at_most(total) > 0.05) - k
    assert _missed(unread, n, k) == wanted


def test_the_bound_holds_in_95_of_100_samples():
    rng = np.random.default_rng(1)
    pool = np.arange(500) < 12
    held = 0
    for _ in range(400):
        drawn = rng.choice(pool, 150, replace=False)
        held += stopping(350, 20, drawn.tolist()).missed_upper >= 12 - drawn.sum()
    assert held / 400 > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 400)
