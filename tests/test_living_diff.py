"""A diff: every moved number taken apart into data, method and judgement, by study, and whether it matters."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enthesis.errors import UsageError
from enthesis.evidence import Store
from enthesis.living.between import at
from enthesis.living.diff import STEPS, difference
from enthesis.living.feeds import write_feeds
from enthesis.living.history import History, living_folder
from enthesis.living.review import Review, run_review
from enthesis.living.update import update
from enthesis.report.difference import as_json, paragraph
from small_review import FILES, add_study, filled, review_folder


@pytest.fixture
def review(tmp_path):
    return Review.load(review_folder(tmp_path / "review"))


@pytest.fixture
def store(tmp_path):
    with Store.open(filled(tmp_path / "store.sqlite")) as opened:
        yield opened


def diff(store, review, old):
    return difference(store, review, at(store, str(old)), store.snapshot())


def number(found, question="r"):
    return next(m for m in found.numbers if m.question == question and m.what == "OR drug : placebo")


def judge(store, study, use):
    store.judge("curation", {"study_id": study, "use": use}, author="A. Reviewer", reason="another look")


def test_a_new_study_moves_numbers_by_data_alone(store, review):
    old = store.snapshot().number
    add_study(store, "R-4", 2024, "r-axSpA", 60, 20)
    moved = number(diff(store, review, old))
    assert moved.steps["data"] == pytest.approx(moved.whole)
    assert (moved.steps["method"], moved.steps["judgement"]) == (0.0, 0.0)
    assert [(s.study, s.how) for s in moved.studies] == [("R-4", "added")]


def test_a_judgement_moves_numbers_by_judgement_alone(store, review):
    old = store.snapshot().number
    judge(store, "R-3", "no")
    moved = number(diff(store, review, old))
    assert moved.steps["judgement"] == pytest.approx(moved.whole)
    assert moved.steps["data"] == 0.0
    assert [(s.study, s.how) for s in moved.studies] == [("R-3", "gone")]


def test_a_judgement_about_a_new_study_comes_with_its_data(store, review):
    old = store.snapshot().number
    add_study(store, "R-4", 2024, "r-axSpA", 60, 20)
    judge(store, "R-4", "no")
    found = diff(store, review, old)
    assert not found.questions
    assert "no number moved" in paragraph(found)


def test_another_model_moves_numbers_by_method_alone(store, review, tmp_path):
    update(review, store)
    old = store.snapshot().number
    store.append("sources", {"source_id": "x", "kind": "article", "title": "x", "year": "2024"}, extractor="t")
    text = FILES["models/random.toml"].replace("half-normal(0.5)", "half-normal(2)")
    later = Review.load(review_folder(tmp_path / "review", models__random=text))
    found = diff(store, later, old)
    moved = number(found)
    assert moved.steps["method"] == pytest.approx(moved.whole)
    assert moved.whole != 0
    assert found.method == ("model random changed",)


def test_all_three_together_sum_exactly_to_the_whole(store, review, tmp_path):
    update(review, store)
    old = store.snapshot().number
    add_study(store, "R-4", 2024, "r-axSpA", 60, 20)
    judge(store, "R-1", "no")
    text = FILES["models/random.toml"].replace("half-normal(0.5)", "half-normal(2)")
    later = Review.load(review_folder(tmp_path / "review", models__random=text))
    found = diff(store, later, old)
    before = run_review(review, evidence=store.evidence(old)).answers[0].fit
    after = run_review(later, evidence=store.evidence()).answers[0].fit
    drug = before.network.index("drug"), after.network.index("drug")
    moved = number(found)
    assert moved.path[0] == pytest.approx(before.estimate[drug[0]], abs=1e-12)
    assert moved.path[-1] == pytest.approx(after.estimate[drug[1]], abs=1e-12)
    assert all(moved.steps[kind] != 0 for kind in ("data", "method", "judgement"))
    for m in [*found.numbers, *(c.number for c in found.conclusions)]:
        assert sum(m.steps[kind] for kind in STEPS) == pytest.approx(m.whole, abs=1e-12)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drug=st.integers(5, 95), out=st.sampled_from(["", "R-1", "R-2"]), gone=st.booleans())
def test_the_steps_sum_whatever_arrives(tmp_path_factory, drug, out, gone):
    folder = tmp_path_factory.mktemp("any")
    review = Review.load(review_folder(folder / "review"))
    with Store.open(filled(folder / "s.sqlite")) as store:
        old = store.snapshot().number
        add_study(store, "R-4", 2024, "r-axSpA", drug, 20)
        if out:
            judge(store, out, "no")
        if gone:
            fact = next(f for f in store.evidence().facts if f.table == "outcomes" and f.cells()["study_id"] == "R-3")
            store.withdraw(fact.id, extractor="t", reason="retracted")
        found = diff(store, review, old)
    for m in found.numbers:
        steps = [m.steps[kind] for kind in STEPS]
        assert None not in steps
        assert np.sum(steps) == pytest.approx(m.whole, abs=1e-12)


def test_leaving_out_gives_the_number_of_a_run_without_the_study(store, review):
    old = store.snapshot().number
    add_study(store, "R-4", 2024, "r-axSpA", 60, 20)
    add_study(store, "R-5", 2024, "r-axSpA", 30, 28)
    moved = number(diff(store, review, old))
    assert {s.study for s in moved.studies} == {"R-4", "R-5"}
    store.judge("curation", {"study_id": "R-4", "use": "no"}, author="A", reason="left out")
    without = run_review(review, evidence=store.evidence(), only="r").answers[0].fit
    last = next(s.last for s in moved.studies if s.study == "R-4")
    assert last == pytest.approx(moved.path[-1] - without.estimate[without.network.index("drug")], abs=1e-12)


def test_a_flip_is_what_matters(store, review):
    old = store.snapshot().number
    add_study(store, "NR-3", 2024, "nr-axSpA", 55, 20)
    add_study(store, "NR-4", 2024, "nr-axSpA", 55, 22)
    found = diff(store, review, old)
    assert [c.after.conclusion.id for c in found.flips] == ["K2"]
    assert found.matters
    words = paragraph(found)
    assert "Conclusion K2 FLIPPED from open to holds" in words
    assert "It matters" in words


def test_the_paragraph_reads_like_one_of_a_guideline(store, review):
    old = store.snapshot().number
    add_study(store, "R-4", 2024, "r-axSpA", 50, 24)
    found = diff(store, review, old)
    words = paragraph(found)
    assert words.startswith(f"Snapshot {old} to {found.new.number}: 1 study added (R-4). ")
    assert "ASAS40, radiographic: drug vs placebo OR " in words
    assert "(by data; R-4 added)" in words
    assert words.endswith("It changes no conclusion, and no verdict on a comparison.")


def test_the_diff_as_json_is_plain(store, review):
    old = store.snapshot().number
    add_study(store, "R-4", 2024, "r-axSpA", 60, 20)
    told = json.loads(json.dumps(as_json(diff(store, review, old)), allow_nan=False))
    assert told["studies"]["added"] == ["R-4"]
    assert told["numbers"][0]["change"] == pytest.approx(sum(told["numbers"][0]["steps"].values()))


def test_a_new_drug_is_told_as_new(store, review):
    old = store.snapshot().number
    with store.writing(extractor="t") as writer:
        from enthesis.evidence.store import checked

        writer.append(checked("arms", {"study_id": "R-1", "arm_id": "n", "treatment": "newdrug", "drug_class": "JAKi",
                                       "n_randomised": "100", "source_id": "src-R-1"}))  # fmt: skip
        row = next(f.cells() for f in store.evidence().facts if f.table == "outcomes")
        writer.append(checked("outcomes", {**row, "arm_id": "n", "events": "35"}))
    found = diff(store, review, old)
    moved = next(m for m in found.numbers if "newdrug" in m.what)
    assert moved.path[0] is None
    assert "newdrug vs placebo is new" in paragraph(found)


def test_the_same_snapshot_twice_has_no_difference(store, review):
    found = diff(store, review, store.snapshot().number)
    assert not found.numbers
    assert not found.matters


def test_a_snapshot_is_named_by_number_hash_date_or_head(store):
    shots = store.snapshots()
    assert at(store, str(shots[1].number)) == shots[1]
    assert at(store, shots[1].content_hash[:12]) == shots[1]
    assert at(store, "HEAD") == shots[-1]
    assert at(store, shots[-1].recorded_at[:10]) == shots[-1]


@pytest.mark.parametrize(
    ("name", "said"), [("99999", "no snapshot"), ("main", "no snapshot"), ("1999", "knew nothing")]
)
def test_a_name_of_no_snapshot_is_refused(store, name, said):
    with pytest.raises(UsageError, match=said):
        at(store, name)


def test_feeds_tell_each_run_that_has_something_to_say(store, review, tmp_path):
    import xml.etree.ElementTree as ET

    update(review, store)
    add_study(store, "NR-3", 2024, "nr-axSpA", 55, 20)
    add_study(store, "NR-4", 2024, "nr-axSpA", 55, 22)
    update(review, store)
    store.append("sources", {"source_id": "x", "kind": "article", "title": "<&>", "year": "2024"}, extractor="t")
    update(review, store)
    records = History(living_folder(store.name)).records("small")
    assert len(records) == 3
    write_feeds(review, records, tmp_path / "feed")
    items = json.loads((tmp_path / "feed" / "feed.json").read_text())["items"]
    assert len(items) == 2
    assert "K2 flipped from open to holds" in items[0]["content_text"]
    titles = [e.text for e in ET.parse(tmp_path / "feed" / "feed.atom").iter("{http://www.w3.org/2005/Atom}title")]
    assert titles[1:] == [item["title"] for item in items]
    assert len(ET.parse(tmp_path / "feed" / "feed.rss").findall("./channel/item")) == 2


def zoster(run, settings, done):
    """A part of long-term safety whose rate ratio follows from the events of zoster in the evidence."""
    from types import SimpleNamespace

    rows = run.evidence.outcomes
    events = float(rows[rows.outcome == "HZ"].events.sum())
    result = SimpleNamespace(
        outcome="HZ", name="herpes zoster", comparison=("JAKi", "TNFi"), stratum="all", stratum_label="all", sources=(),
        rate_ratio=SimpleNamespace(draws=np.exp(np.random.default_rng(1).normal(events / 10, 1.0, 2000))),
        borrowed={}, own_events={}, own_ratio=None,
    )  # fmt: skip
    return SimpleNamespace(results=(result,))


@pytest.mark.parametrize(("outcome", "moved"), [("HZ", True), ("ASAS40", False)])
def test_a_conclusion_on_safety_is_followed_when_its_outcome_has_new_rows(store, tmp_path, monkeypatch, outcome, moved):
    from dataclasses import replace

    from enthesis.living import parts

    mine = next(p for p in parts.PARTS if p.name == "safety")
    monkeypatch.setattr(parts, "PARTS", (replace(mine, compute=f"{__name__}:zoster"),))
    rule = '[[conclusion]]\nid = "S"\nstatement = "zoster"\noutcome = "HZ"\nthreshold = 0.9\n'
    text = FILES["conclusions.toml"] + rule + 'probability = "P(RR(JAKi, TNFi) > 1)"\n'
    folder = review_folder(tmp_path / "review", conclusions=text)
    (folder / "safety.toml").write_text("")
    old = store.snapshot().number
    add_study(store, "R-4", 2024, "r-axSpA", 30, 4, cells={"outcome": outcome})
    found = diff(store, Review.load(folder), old)
    told = [c.number for c in found.conclusions if c.after.conclusion.id == "S"]
    assert bool(told) is moved
    if moved:
        assert told[0].steps["data"] == pytest.approx(told[0].whole)
        assert told[0].whole > 0.2
