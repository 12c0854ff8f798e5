"""`enthesis borrow` and the table it reads: numbers of the library, refusals with the cell."""

from __future__ import annotations

import json
import math

import pytest

from enthesis.assess.borrowing import answer, own_counts, read_effects
from enthesis.cli.main import run
from enthesis.errors import DataError, ModelError, UsageError
from enthesis.inference.borrowing import borrow
from enthesis.models.borrowing import AbsoluteRate, Exnex, Power, RobustMap
from enthesis.models.one_parameter import EffectEstimate, EventCounts

ROWS = [
    {"study": "A", "indication": "RA", "hr": 1.33, "lower": 0.91, "upper": 1.94},
    {"study": "B", "indication": "RA", "hr": 1.01, "lower": 0.83, "upper": 1.23},
]
CSV = "study,indication,hr,lower,upper\nA,RA,1.33,0.91,1.94\nB,RA,1.01,0.83,1.23\n"


def called(arguments, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        run([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return stop.value.code or 0, out, err


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "elsewhere.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def test_the_json_holds_the_numbers_of_the_library(table, capsys):
    code, out, _ = called(["borrow", table, "--own", "3/600,1/450", "--weight", "0.4", "--json", "-"], capsys)
    told = json.loads(out)
    external = [EffectEstimate.from_interval(1.33, 0.91, 1.94), EffectEstimate.from_interval(1.01, 0.83, 1.23)]
    expected = borrow([own_counts("3/600,1/450")], external, RobustMap(weight=0.4))
    assert code == 0
    assert told["result"]["ratio"] == pytest.approx(expected.rate_ratio[0], rel=1e-9)


def test_the_json_has_a_row_for_every_twentieth_of_the_weight(table, capsys):
    _, out, _ = called(["borrow", table, "--own", "3/600,1/450", "--threshold", "1.33", "--json", "-"], capsys)
    rows = json.loads(out)["by_weight"]
    assert [rows[0]["weight"], rows[-1]["weight"], len(rows)] == [0.0, 1.0, 21]
    assert 0 < rows[10]["p_above_1.33"] < 1


@pytest.mark.parametrize("method", ["power", "exnex", "commensurate"])
def test_every_method_can_be_asked_for(table, method, capsys):
    code, out, _ = called(["borrow", table, "--own", "3/600,1/450", "--method", method, "--json", "-"], capsys)
    assert (code, json.loads(out)["method"]) == (0, method)


def test_the_sentences_say_what_is_borrowed_and_whether_it_conflicts(table, capsys):
    _, out, _ = called(["borrow", table, "--own", "3/600,1/450"], capsys)
    assert "Borrowed: 2 relative effects from RA." in out
    assert "No conflict between own and borrowed data is seen" in out


def test_an_absolute_rate_in_the_table_ends_with_a_sentence(tmp_path, capsys):
    path = tmp_path / "rates.csv"
    path.write_text("study,indication,events,time_at_risk\nA,RA,37,5045\n", encoding="utf-8")
    code, _, err = called(["borrow", path, "--own", "3/600,1/450", "--to", "axSpA"], capsys)
    assert code == 2
    assert "is not carried to axSpA" in err


def test_own_data_that_cannot_be_read_end_with_an_example(table, capsys):
    code, _, err = called(["borrow", table, "--own", "three"], capsys)
    assert code == 2
    assert "3/600,1/450" in err


def test_a_weight_outside_zero_and_one_is_a_usage_error(table, capsys):
    code, _, err = called(["borrow", table, "--own", "3/600,1/450", "--weight", "2"], capsys)
    assert code == 2
    assert "between 0" in err


def test_a_bad_cell_is_named(tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text("study,hr,lower,upper\nA,1.33,0.91,1.94\nB,1.2,1.3,1.6\n", encoding="utf-8")
    code, _, err = called(["borrow", path, "--own", "3/600,1/450"], capsys)
    assert code == 3
    assert "row 3" in err
    assert "does not hold the ratio" in err


def test_the_figure_is_drawn(table, tmp_path, capsys):
    picture = tmp_path / "curve.svg"
    code, _, _ = called(["borrow", table, "--own", "3/600,1/450", "--figure", picture], capsys)
    assert code == 0
    assert picture.read_text(encoding="utf-8").startswith("<svg")


def test_rows_of_the_own_indication_are_own_data():
    counts = {"study": "S", "indication": "axSpA", "events": 3, "time_at_risk": 600, "comparator_events": 1,
              "comparator_time": 450}  # fmt: skip
    rows = read_effects([*ROWS, counts])
    found = answer([], rows, RobustMap(), to="axSpA")
    assert found.table.setup.own == (EventCounts(events=3, exposure=600, comparator_events=1, comparator_exposure=450),)


def test_own_rows_of_the_stratum_go_before_those_of_all_patients():
    own = {"study": "S", "indication": "axSpA", "events": 3, "time_at_risk": 600, "comparator_events": 1,
           "comparator_time": 450}  # fmt: skip
    old = [r | {"stratum": "65 or older"} for r in ROWS]
    rows = read_effects([*old, own | {"stratum": "all"}, own | {"stratum": "65 or older", "events": 2}])
    found = answer([], rows, RobustMap(), to="axSpA", stratum="65 or older")
    assert [r.events for r in found.table.setup.own] == [2.0]


def test_a_row_with_one_side_is_an_absolute_rate():
    (row,) = read_effects([{"study": "A", "events": 3, "time_at_risk": 100}])
    assert isinstance(row, AbsoluteRate)


def test_own_data_with_one_side_are_refused():
    rows = read_effects([{"study": "S", "indication": "axSpA", "events": 3, "time_at_risk": 100}])
    with pytest.raises(ModelError, match="own data need both sides"):
        answer([], rows, Power(), to="axSpA")


def test_a_row_with_a_missing_side_names_the_empty_cell():
    with pytest.raises(DataError, match="comparator_time"):
        read_effects([{"study": "A", "events": 3, "time_at_risk": 100, "comparator_events": 2, "comparator_time": ""}])


def test_a_table_without_the_needed_columns_says_which():
    with pytest.raises(DataError, match="neither ratio, lower and upper nor events"):
        read_effects([{"study": "A", "x": 3}])


def test_a_table_without_rows_is_refused(tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("study,hr,lower,upper\n", encoding="utf-8")
    with pytest.raises(DataError):
        read_effects(path)


def test_a_threshold_that_is_no_ratio_is_refused():
    with pytest.raises(UsageError, match="a ratio above 0"):
        answer([own_counts("3/600,1/450")], read_effects(ROWS), RobustMap(), to="own", thresholds=(-1.0,))


def test_the_tipping_point_of_an_answer_is_told():
    strong = [
        {"study": "A", "hr": 2.0, "lower": 1.6, "upper": 2.5},
        {"study": "B", "hr": 2.1, "lower": 1.7, "upper": 2.6},
    ]
    found = answer([own_counts("9/600,6/600")], read_effects(strong), Power(), to="own")
    assert len(found.tipping) == 1
    assert f"changes at weight {found.tipping[0]:.2f}" in found.sentences[-1]


def test_the_rows_of_an_answer_are_on_the_ratio_scale():
    found = answer([own_counts("3/600,1/450")], read_effects(ROWS), Exnex(), to="own", weights=(0.0, 1.0))
    assert found.rows()[1]["ratio"] == pytest.approx(math.exp(found.table.rows()[1]["estimate"]))
