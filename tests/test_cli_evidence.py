import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from enthesis.cli import main
from enthesis.cli.evidence import app
from enthesis.errors import DataError, StoreError, UsageError
from small_tables import STUDY, edit, small_folder

run = CliRunner()


@pytest.fixture
def folder(tmp_path):
    return small_folder(tmp_path / "tables")


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "store.sqlite")


def answer(*arguments):
    result = run.invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def loaded(place, folder):
    answer("load", folder, "--store", place)
    return place


def test_load_tells_the_rows_of_each_table(place, folder):
    told = json.loads(answer("load", folder, "--store", place, "--json").stdout)
    assert told["committed"] is True
    assert told["total"]["read"] == told["total"]["stored"] == sum(table["read"] for table in told["tables"])
    assert told["snapshot"]["number"] == told["total"]["stored"]


def test_load_as_text_ends_with_the_snapshot(place, folder):
    assert "snapshot" in answer("load", folder, "--store", place).stdout.splitlines()[-1]


def test_notes_go_to_standard_error(place, folder):
    (folder / "arms.xlsx").write_bytes(b"")
    assert "note: arms.xlsx is not a CSV file" in answer("load", folder, "--store", place).stderr


def test_a_rejected_row_is_told_and_raised(place, folder):
    edit(folder / "arms.csv", lambda rows: rows[0].update(drug_class="JAK"))
    result = run.invoke(app, ["load", str(folder), "--store", place, "--json"])
    assert isinstance(result.exception, DataError)
    told = json.loads(result.stdout)
    assert told["committed"] is False
    assert told["tables"][2]["rejected"][0]["column"] == "drug_class"


def test_a_partial_load_with_a_rejected_row_ends_with_3(place, folder):
    edit(folder / "arms.csv", lambda rows: rows[0].update(drug_class="JAK"))
    result = run.invoke(app, ["load", str(folder), "--store", place, "--partial"])
    assert result.exit_code == 3
    assert "arms.csv, row 2, column 'drug_class', value 'JAK'" in result.stderr


def test_the_store_can_be_named_in_the_environment(place, folder, monkeypatch):
    loaded(place, folder)
    monkeypatch.setenv("ENTHESIS_STORE", place)
    assert json.loads(answer("summary", "--json").stdout)["store"] == place


def test_summary_counts_what_the_store_holds(place, folder):
    told = json.loads(answer("summary", "--store", loaded(place, folder), "--json").stdout)
    assert told["rows"]["studies"] == 1
    assert told["studies_by_design"] == {"rct": 1}
    assert sum(told["results_by_use"].values()) == told["rows"]["outcomes"]


def test_without_a_store_the_bundled_evidence_is_shown_and_said():
    result = answer("summary", "--json")
    assert json.loads(result.stdout)["store"] == "bundled"
    assert "showing the evidence that ships with enthesis" in result.stderr


def test_a_named_store_that_is_missing_is_an_error(tmp_path):
    result = run.invoke(app, ["summary", "--store", str(tmp_path / "none.sqlite")])
    assert isinstance(result.exception, StoreError)


def test_show_tells_arms_results_and_documents():
    told = json.loads(answer("show", STUDY, "--outcome", "ASAS40", "--json").stdout)
    assert [arm["arm_id"] for arm in told["arms"]] == ["upadacitinib-15-qd", "placebo"]
    assert {row["outcome"] for row in told["outcomes"]} == {"ASAS40"}
    assert all(row["result_id"].startswith("R-") and row["use"] for row in told["outcomes"])
    assert told["sources"]


def test_show_lists_the_curation_line_that_names_no_study():
    told = json.loads(answer("show", "UPA-AS-ER-pooled", "--json").stdout)
    assert "bhatnagar2024_er_nlmixr" in {line["source_id"] for line in told["curation"] if not line["study_id"]}


def test_show_of_an_unknown_study_suggests_the_nearest():
    result = run.invoke(app, ["show", "SELECT-AXIS-11"])
    assert isinstance(result.exception, UsageError)
    assert "Did you mean 'SELECT-AXIS-1'" in str(result.exception)


def test_explain_tells_the_row_and_its_source():
    name = json.loads(answer("show", STUDY, "--outcome", "ASAS40", "--json").stdout)["outcomes"][0]["result_id"]
    told = json.loads(answer("explain", name, "--json").stdout)
    assert told["row"]["events"] == "48"
    text = answer("explain", name).stdout
    assert "events: 48" in text
    assert told["fact"]["locator"] in text


def test_a_name_of_a_study_cannot_steer_the_terminal(place, folder):
    edit(folder / "studies.csv", lambda rows: rows[0].update(title="\x1b[2J[red]x[/red]\x07"))
    text = answer("show", STUDY, "--store", loaded(place, folder)).stdout
    assert "\x1b" not in text
    assert "[red]x[/red]" in text


def test_bad_data_end_the_program_with_3_and_the_sentence(place, folder, capsys):
    edit(folder / "arms.csv", lambda rows: rows[0].update(drug_class="JAK"))
    with pytest.raises(SystemExit) as ended:
        main.run(["evidence", "load", str(folder), "--store", place])
    assert ended.value.code == 3
    told = capsys.readouterr().err
    assert "arms.csv, row 2, column 'drug_class', value 'JAK': is not one of" in told
    assert "Nothing was stored." in told


@pytest.mark.parametrize("command", ["load", "summary", "show", "explain"])
def test_every_command_has_json_and_store(command):
    text = answer(command, "--help").stdout
    assert "--json" in text
    assert "--store" in text


def test_importing_the_commands_is_light():
    code = (
        "import sys, enthesis.cli.evidence; print([m for m in ('pandas', 'sqlalchemy', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
