"""The time machine: what was published by a date, and what the store knew at a date."""

from itertools import pairwise

import pytest

from enthesis.errors import UsageError
from enthesis.evidence import Store, bundled_evidence, load_tables
from enthesis.evidence import store as store_module
from enthesis.living.as_of import known_at, parsed, published_by, source_dates, undated
from enthesis.living.review import Review, run_review
from enthesis.living.time_machine import over_time
from enthesis.report.plots import time_machine as plot
from enthesis.report.render.svg import draw
from small_review import STUDIES, add_study, filled, review_folder


@pytest.fixture
def review(tmp_path):
    return Review.load(review_folder(tmp_path / "review"))


def evidence_of(tmp_path, studies=STUDIES, name="store.sqlite"):
    with Store.open(filled(tmp_path / name, studies)) as store:
        return store.evidence()


def numbers(run):
    return [None if a.fit is None else a.fit.estimate.tolist() for a in run.answers]


@pytest.mark.parametrize("date", ["2016", "2018-12-31", "2019-06-01", "2022"])
def test_a_look_into_the_past_equals_a_fresh_run_on_the_evidence_of_then(review, tmp_path, date):
    last = parsed(date).year - (0 if (parsed(date).month, parsed(date).day) == (12, 31) else 1)
    then = [s for s in STUDIES if s[1] <= last]
    looked = run_review(review, evidence=published_by(evidence_of(tmp_path), date))
    fresh = run_review(review, evidence=evidence_of(tmp_path, then, "then.sqlite"))
    assert numbers(looked) == numbers(fresh)
    assert [r.probability for r in looked.parts["conclusions"].results] == [
        r.probability for r in fresh.parts["conclusions"].results
    ]


def test_the_flagship_of_a_date_equals_a_run_on_tables_without_the_later_rows(tmp_path):
    """The filter is checked against CSV files from which later rows are taken by hand."""
    import pandas as pd

    from enthesis.evidence import bundled_folder

    whole = {p.name: pd.read_csv(p, dtype=str, keep_default_na=False) for p in bundled_folder().glob("*.csv")}
    year = dict(zip(whole["sources.csv"].source_id, whole["sources.csv"].year, strict=True))
    study = dict(zip(whole["studies.csv"].study_id, whole["studies.csv"].year, strict=True))

    def then(row):
        years = [year.get(s.strip()) or study.get(row.study_id) or "9999" for s in row.source_id.split(";")]
        return max(float(y) for y in years) <= 2018

    rows = whole["outcomes.csv"]
    result = rows.study_id.str.cat(rows[["arm_id", "subgroup", "outcome", "week", "measure"]], sep="|")
    public = pd.Series([then(row) for row in rows.itertuples()])
    best = rows.preferred != "no"
    waits = set(result[best & ~public]) - set(result[best & public])
    rows.loc[~best & result.isin(waits), "preferred"] = "yes"  # the report before the preferred one
    whole["outcomes.csv"] = rows[public]
    for name, table in whole.items():
        table.to_csv(tmp_path / name, index=False)
    with Store.open(":memory:") as store:
        load_tables(store, tmp_path)
        fresh = run_review("axspa", only="asas40-r-naive-class", evidence=store.evidence(), roles=("primary",))
    looked = run_review("axspa", only="asas40-r-naive-class", evidence=published_by(bundled_evidence(), "2018"),
                        roles=("primary",))  # fmt: skip
    assert looked.main.fit.network.content_hash == fresh.main.fit.network.content_hash
    assert numbers(looked) == numbers(fresh)


def test_a_source_of_which_only_the_year_is_known_counts_from_its_last_day(tmp_path):
    evidence = evidence_of(tmp_path)
    assert "R-2" not in set(published_by(evidence, "2018-12-30").outcomes.study_id)
    assert "R-2" in set(published_by(evidence, "2018-12-31").outcomes.study_id)


def test_a_source_with_a_date_counts_from_that_day(tmp_path):
    with Store.open(filled(tmp_path / "s.sqlite", ())) as store:
        add_study(store, "R-9", 2020, "r-axSpA", 40, 20, published="2020-03-05")
        evidence = store.evidence()
    assert len(published_by(evidence, "2020-03-04").outcomes) == 0
    assert len(published_by(evidence, "2020-03-05").outcomes) == 2


def test_the_day_a_registry_posted_results_is_read_from_its_note():
    assert source_dates(bundled_evidence())["ctgov_NCT01786668"].isoformat() == "2016-06-10"


def test_a_source_without_a_year_is_dated_by_its_study(tmp_path):
    with Store.open(filled(tmp_path / "s.sqlite", ())) as store:
        add_study(store, "R-9", 2020, "r-axSpA", 40, 20)
        evidence = store.evidence()
        fact = next(f for f in evidence.facts if f.table == "sources")
        store.supersede(fact.id, {**fact.cells(), "year": ""}, extractor="test", reason="year unknown")
        evidence = store.evidence()
    assert undated(evidence) == {"src-R-9": 2}
    assert len(published_by(evidence, "2019").outcomes) == 0
    assert len(published_by(evidence, "2020").outcomes) == 2


def test_a_result_whose_preferred_report_came_later_is_seen_through_the_earlier_one(tmp_path):
    with Store.open(filled(tmp_path / "s.sqlite", ())) as store:
        add_study(store, "R-9", 2020, "r-axSpA", 40, 20, cells={"preferred": "no"})
        store.append("sources", {"source_id": "late", "kind": "article", "title": "t", "year": "2022"}, extractor="t")
        for arm, events in (("d", 42), ("p", 20)):
            row = next(f.cells() for f in store.evidence().facts
                       if f.table == "outcomes" and f.cells()["arm_id"] == arm)  # fmt: skip
            store.append("outcomes", {**row, "source_id": "late", "events": str(events), "preferred": "yes"},
                         extractor="t")  # fmt: skip
        evidence = store.evidence()
    then = published_by(evidence, "2021").outcomes
    assert then[["events", "preferred"]].to_numpy().tolist() == [[40.0, "yes"], [20.0, "yes"]]
    assert sorted(published_by(evidence, "2022").outcomes.preferred) == ["no", "no", "yes", "yes"]


def test_looking_at_a_later_day_takes_nothing_away(tmp_path):
    evidence = evidence_of(tmp_path)
    seen = [set(published_by(evidence, str(year)).outcomes.result_id) for year in range(2014, 2024)]
    assert all(a <= b for a, b in pairwise(seen))


def test_what_the_store_knew_is_a_snapshot(tmp_path, monkeypatch):
    place = tmp_path / "s.sqlite"
    for day, study in (("2024-05-01", STUDIES[0]), ("2025-05-01", STUDIES[1])):
        monkeypatch.setattr(store_module, "_now", lambda day=day: f"{day}T10:00:00+00:00")
        filled(place, (study,))
    with Store.open(place) as store:
        assert set(store.evidence(known_at(store, "2024")).outcomes.study_id) == {"R-1"}
        assert set(store.evidence(known_at(store, "2025-05-01")).outcomes.study_id) == {"R-1", "R-2"}
        with pytest.raises(UsageError, match="its first snapshot is of 2024-05-01"):
            known_at(store, "2023")


def test_a_clock_that_went_backwards_makes_nothing_known_before_what_it_rests_on(tmp_path, monkeypatch):
    place = tmp_path / "s.sqlite"
    for day, study in (("2025-05-01", STUDIES[0]), ("2024-01-01", STUDIES[1]), ("2025-06-01", STUDIES[2])):
        monkeypatch.setattr(store_module, "_now", lambda day=day: f"{day}T10:00:00+00:00")
        filled(place, (study,))
    with Store.open(place) as store:
        with pytest.raises(UsageError, match="knew nothing"):
            known_at(store, "2024-06-01")
        assert len(store.evidence(known_at(store, "2025-05-01")).studies) == 2


@pytest.mark.parametrize("text", ["22", "2022-13", "2022-02-30", "yesterday", "", "0000"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(UsageError, match="not a date"):
        parsed(text)


def test_conclusions_over_time_are_those_of_runs_on_the_evidence_of_each_date(review, tmp_path):
    evidence = evidence_of(tmp_path)
    table = over_time(review, evidence, ("2018", "today"))
    for date, known in (("2018-12-31", published_by(evidence, "2018")), ("today", evidence)):
        fresh = run_review(review, evidence=known).parts["conclusions"]
        told = table[table.date == date].set_index("id").probability.to_dict()
        for r in fresh.results:
            assert told[r.conclusion.id] == r.probability or (r.probability is None and told["K2"] != told["K2"])
    assert table[table.date == "2018-12-31"].set_index("id").state.to_dict() == {"K1": "holds", "K2": "unknown"}
    assert table[(table.date == "today") & (table.id == "K1")].new_studies.iloc[0] == ["R-3"]


def test_the_figure_over_time_is_drawn_and_said(review, tmp_path):
    table = over_time(review, evidence_of(tmp_path), ("2018", "today"))
    assert draw(lambda: plot.chart(table)).startswith("<svg")
    assert "$schema" in plot.chart(table).to_dict()
    said = plot.alt_text(table)
    assert "K2 (drug works in non-radiographic disease; needs 0.95): end of 2018 no data" in said
