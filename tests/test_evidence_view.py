import json

import numpy as np
import pandas as pd
import pytest

from enthesis.errors import UsageError
from enthesis.evidence import TABLES, Store, bundled_evidence, changes, load_tables
from small_tables import STUDY, edit, small_folder

evidence = bundled_evidence()


@pytest.fixture
def store(tmp_path):
    with Store.open(":memory:") as opened:
        yield opened


@pytest.mark.parametrize("name", list(TABLES))
def test_a_frame_has_the_columns_of_the_dictionary_then_its_own(name):
    spec = TABLES[name]
    own = (["result_id"] if spec.prefix else []) + (["author", "recorded_at"] if spec.judgement else [])
    assert list(evidence.table(name).columns) == [*spec.columns, *own, "fact_id", "file_row"]


@pytest.mark.parametrize("name", ["studies", "arms", "outcomes", "contrasts"])
def test_numbers_are_floats_and_texts_are_never_missing(name):
    frame, spec = evidence.table(name), TABLES[name]
    for column in spec.columns:
        if column in spec.numeric:
            assert frame[column].dtype == np.float64, column
        else:
            assert frame[column].notna().all(), column
            assert frame[column].map(type).eq(str).all(), column


@pytest.mark.parametrize("name", list(TABLES))
def test_an_empty_store_has_empty_frames_of_the_same_types(store, name):
    empty, full = store.evidence().table(name), evidence.table(name)
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert len(empty) == 0


def test_the_file_row_is_the_line_of_the_file():
    assert evidence.outcomes.file_row.tolist() == list(range(2, 2723))


def test_a_table_outside_the_dictionary_is_text_in_the_order_of_its_file():
    frame = evidence.table("mechanism/pk")
    assert list(frame.columns[:6]) == ["drug", "dose_mg", "frequency", "population", "parameter", "value"]
    assert frame["value"][0] == "3.07"


def test_changing_a_frame_changes_nothing_in_the_evidence():
    frame = evidence.arms
    frame.loc[:, "treatment"] = "nothing"
    assert "nothing" not in set(evidence.arms.treatment)


def test_result_ids_are_unique_and_do_not_depend_on_the_order_of_loading(store, tmp_path):
    folder = small_folder(tmp_path / "tables")
    edit(folder / "outcomes.csv", lambda rows: rows[::-1])
    load_tables(store, folder)
    mine = set(store.evidence().outcomes.result_id)
    assert mine == set(evidence.outcomes.result_id[evidence.outcomes.study_id == STUDY])
    assert evidence.outcomes.result_id.is_unique


def test_result_ids_of_rows_that_share_a_natural_key_do_not_depend_on_the_order_in_the_file(tmp_path):
    folder = small_folder(tmp_path / "tables")
    edit(folder / "outcomes.csv", lambda rows: [*rows[:1], *({**rows[0], "note": f"note {i}"} for i in range(5))])
    named = []
    for _ in range(2):
        with Store.open(":memory:") as store:
            load_tables(store, folder)
            outcomes = store.evidence().outcomes
            named.append(dict(zip(outcomes.result_id, outcomes.note, strict=True)))
        edit(folder / "outcomes.csv", lambda rows: rows[::-1])
    assert named[0] == named[1]


def test_the_evidence_outlives_its_store(tmp_path):
    with Store.open(tmp_path / "store.sqlite") as store:
        load_tables(store, small_folder(tmp_path / "tables"))
        seen = store.evidence()
    assert seen.studies.study_id.tolist() == [STUDY]


# Eligibility


def _judged(store, *lines):
    store.append("sources", {"source_id": "x", "kind": "article"}, extractor="A. Reader")
    row = {
        "study_id": "S", "arm_id": "a", "subgroup": "all", "outcome": "ASAS40", "measure": "binary", "source_id": "x",
        "locator": "Table 1", "check": "one-source", "preferred": "yes",
    }  # fmt: skip
    store.append("outcomes", row, extractor="A. Reader")
    for line in lines:
        store.judge("curation", line, author="A. Reviewer", reason="a reason")
    return store.evidence().eligibility().use[0]


@pytest.mark.parametrize(
    ("lines", "use"),
    [
        ((), "primary"),
        (({"study_id": "S", "use": "sensitivity"},), "sensitivity"),
        (({"study_id": "T", "use": "no"},), "primary"),
        (({"study_id": "S", "arm_id": "b", "use": "no"},), "primary"),
        (({"source_id": "x", "use": "context"},), "context"),
        (({"study_id": "S", "use": "no"}, {"study_id": "S", "arm_id": "a", "use": "sensitivity"}), "sensitivity"),
        (({"study_id": "S", "use": "sensitivity"}, {"source_id": "x", "use": "no"}), "no"),
        (({"study_id": "S", "use": "context"}, {"outcome": "ASAS40", "use": "sensitivity"}), "context"),
    ],
)
def test_the_most_specific_line_wins_and_between_equals_the_more_restrictive(store, lines, use):
    assert _judged(store, *lines) == use


def test_eligibility_has_a_row_for_each_result():
    frame = evidence.eligibility()
    assert frame.result_id.tolist() == evidence.outcomes.result_id.tolist()
    assert frame.reason[frame.use != "primary"].str.len().gt(0).all()


# Explaining


def test_explaining_tells_everything_behind_a_number():
    row = evidence.outcomes.query(f"study_id == '{STUDY}' and outcome == 'ASAS40' and arm_id == 'placebo'").iloc[0]
    told = evidence.explain(row.result_id)
    assert (told["row"]["events"], told["row"]["n"]) == (str(int(row.events)), str(int(row.n)))
    assert told["fact"]["source"] == row.source_id
    assert told["fact"]["locator"] == row.locator
    assert told["fact"]["extractor"] == "enthesis.evidence.sources.tables"
    assert (told["fact"]["file"], told["fact"]["file_row"]) == ("outcomes.csv", row.file_row)
    assert told["sources"][0]["url"].startswith("https://")
    assert told["study"]["nct_id"] == "NCT03178487"
    assert [arm["arm_id"] for arm in told["arms"]] == ["placebo"]
    assert told["use"] == "primary"
    assert told["snapshot"]["content_hash"] == evidence.content_hash


@pytest.mark.parametrize("index", [0, 700, 2000])
def test_what_is_told_is_plain_json(index):
    told = evidence.explain(evidence.outcomes.result_id[index])
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_explaining_tells_the_curation_line_that_decides_first():
    uses = evidence.eligibility()
    name = uses.result_id[uses.use == "no"].iloc[0]
    told = evidence.explain(name)
    assert told["use"] == told["curation"][0]["use"] == "no"
    assert told["curation"][0]["file"] == "curation.csv"


def test_explaining_a_contrast_tells_both_arms():
    told = evidence.explain(evidence.contrasts.result_id[0])
    assert sorted(arm["arm_id"] for arm in told["arms"]) == ["placebo", "tofacitinib-2-bid"]


def test_explaining_a_corrected_number_tells_what_it_was_who_changed_it_and_why(store, tmp_path):
    load_tables(store, small_folder(tmp_path / "tables"))
    row = store.evidence().outcomes.iloc[0]
    cells = store.evidence().fact(row.result_id).cells()
    store.supersede(int(row.fact_id), {**cells, "note": "new"}, extractor="B. Reader", reason="erratum of 2021")
    told = store.evidence().explain(row.result_id)["fact"]
    assert told["extractor"] == "B. Reader"
    earlier = told["supersedes"][0]
    assert earlier["changed"] == {"note": [cells.get("note", ""), "new"]}
    assert earlier["why"] == "erratum of 2021"
    assert earlier["id"] == row.fact_id


@pytest.mark.parametrize("name", ["fact 1", "sources.csv:row 2"])
def test_a_row_can_be_named_by_fact_or_by_line(name):
    assert evidence.explain(name)["row"]["source_id"] == "ctgov_NCT01786668"


@pytest.mark.parametrize("name", ["R-0000000000", "", "outcomes.csv:row 99999", "'; DROP TABLE facts"])
def test_an_unknown_name_is_a_sentence(name):
    with pytest.raises(UsageError, match="Names look like R-0123456789"):
        evidence.explain(name)


def test_a_name_that_two_rows_share_is_a_sentence(store, tmp_path):
    folder = small_folder(tmp_path / "tables")
    load_tables(store, folder)
    edit(folder / "sources.csv", lambda rows: [{**rows[0], "source_id": "another"}, *rows[1:]])
    load_tables(store, folder)
    with pytest.raises(UsageError, match=r"names 2 rows\. Name one of: fact"):
        store.evidence().explain("sources.csv:row 2")


# Changes


def test_changes_name_what_was_added_superseded_and_withdrawn(store, tmp_path):
    folder = small_folder(tmp_path / "tables")
    old = load_tables(store, folder).snapshot
    edit(folder / "studies.csv", lambda rows: rows[0].update(sponsor="Another"))
    edit(folder / "arms.csv", lambda rows: [*rows, {**rows[0], "arm_id": "new"}])
    edit(folder / "outcomes.csv", lambda rows: rows[1:])
    load_tables(store, folder, withdraw_missing=True)
    found = store.changes(old)
    assert [fact.cells()["arm_id"] for fact in found.added] == ["new"]
    assert [(a.cells()["sponsor"], b.cells()["sponsor"]) for a, b in found.superseded] == [("AbbVie", "Another")]
    assert len(found.withdrawn) == 1
    frame = found.to_frame()
    assert frame[frame.change == "superseded"][["table", "column", "before", "after"]].values.tolist() == [
        ["studies", "sponsor", "AbbVie", "Another"]
    ]


def test_no_change_is_false(store):
    assert not changes(evidence, evidence)
    assert isinstance(changes(evidence, evidence).to_frame(), pd.DataFrame)
