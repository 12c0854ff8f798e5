"""`enthesis certainty`, `sof` and `rob`: of tables and of a review, to JSON and files, with a person's judgement."""

import csv
import json
from pathlib import Path

import pytest

from enthesis.cli.main import run
from enthesis.evidence import Store, bundled_folder, load_tables

DIABETES = Path(__file__).parents[1] / "validation" / "cinema" / "diabetes.csv"
TABLE = [
    "certainty",
    "rate",
    DIABETES,
    "--measure",
    "OR",
    "--reference",
    "Placebo",
    "--better",
    "lower",
    "--mid",
    "1.1",
]
ROBVIS = "Study,D1,D2,D3,D4,D5,Overall\nIXORA-X,Low,Low,Low,Low,Low,Low\n"


@pytest.fixture
def cli(capsys):
    """Run the program; returns (exit code, standard output, standard error)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            run([str(a) for a in arguments])
        out = capsys.readouterr()
        return stop.value.code or 0, out.out, out.err

    return call


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "axspa.db"
    with Store.open(path) as opened:
        load_tables(opened, bundled_folder())
    return path


def test_a_table_with_levels_is_rated_and_told_as_json(cli):
    code, out, _ = cli(*TABLE, "--json")
    told = json.loads(out)
    assert code == 0
    assert [r["comparator"] for r in told["ratings"]] == ["Placebo"] * 5
    assert told["ratings"][0]["domains"]["within-study bias"]["judgement"] == "no concerns"


def test_every_pair_and_every_reason_are_printed_on_request(cli):
    _, out, _ = cli(*TABLE, "--every-pair", "--reasons")
    assert out.count("within-study bias: ") == 15


def test_cinemas_report_and_project_are_written_and_the_project_read_again(cli, tmp_path):
    report, project = tmp_path / "report.csv", tmp_path / "project.cnm"
    assert cli(*TABLE, "--report", report, "--cnm", project)[0] == 0
    rows = list(csv.DictReader(report.read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows) == 15
    one = json.loads(cli(*TABLE, "--json")[1])
    again = json.loads(cli("certainty", "rate", project, "--reference", "Placebo", "--mid", "1.1", "--json")[1])
    assert [r["rating"] for r in again["ratings"]] == [r["rating"] for r in one["ratings"]]


def test_a_network_in_parts_is_rated_in_the_part_of_its_reference(cli, tmp_path):
    path = tmp_path / "parts.csv"
    rows = [("1", "A", 5), ("1", "B", 9), ("2", "C", 5), ("2", "D", 8), ("3", "A", 6), ("3", "B", 9)]
    path.write_text("study,treatment,events,n\n" + "".join(f"{s},{t},{r},50\n" for s, t, r in rows), encoding="utf-8")
    code, out, _ = cli("certainty", "rate", path, "--reference", "A", "--json")
    assert (code, len(json.loads(out)["ratings"])) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["certainty", "rate"], "name a TABLE"),
        (["certainty", "rate", "--review", "axspa"], "--question"),
        (["certainty", "rate", "--review", "axspa", "--question", "nothing"], "Known"),
        (["sof", "axspa", "--question", "asas40-nr-naive", "--docx", "x.xlsx"], "must end in .docx"),
        (["rob", "plot", "--figure", "x.svg"], "TABLE of judgements"),
    ],
)
def test_wrong_use_is_one_sentence_with_the_mend(cli, arguments, says):
    code, _, err = cli(*arguments)
    assert code == 2
    assert says in err


def test_a_summary_of_findings_takes_two_commands_at_most(cli, tmp_path):
    path = tmp_path / "sof.docx"
    code, out, _ = cli("sof", "axspa", "--question", "asas40-nr-naive", "--docx", path, "--json")
    told = json.loads(out)
    assert code == 0
    assert path.stat().st_size > 10_000
    assert {r["treatment"] for r in told["rows"]} == {"ixekizumab", "secukinumab"}


def test_judgements_go_into_a_store_and_come_out_weighted_by_contribution(cli, store, tmp_path):
    table, out = tmp_path / "r.csv", tmp_path / "out.csv"
    study = json.loads(cli("certainty", "rate", "--review", "axspa", "--question", "asas40-nr-naive", "--json")[1])
    assert study["ratings"]
    with Store.open(store) as opened:
        names = set(opened.evidence().studies["study_id"])
    name = sorted(n for n in names if n.startswith("COAST-X") or n == "PREVENT")[0]
    table.write_text(ROBVIS.replace("IXORA-X", name), encoding="utf-8")
    given = ["--store", store, "--author", "A. Reviewer", "--reason", "agreed by two"]
    assert cli("rob", "import", table, *given)[0] == 0
    assert cli("rob", "export", out, "--store", store)[0] == 0
    row = next(csv.DictReader(out.read_text(encoding="utf-8-sig").splitlines()))
    assert (row["Study"], row["Overall"]) == (name, "Low")
    for kind in ("traffic-light", "summary"):
        assert cli("rob", "plot", "--store", store, "--kind", kind, "--figure", tmp_path / f"{kind}.svg")[0] == 0


def test_a_study_that_the_store_does_not_know_is_refused(cli, store, tmp_path):
    table = tmp_path / "r.csv"
    table.write_text(ROBVIS, encoding="utf-8")
    code, _, err = cli("rob", "import", table, "--store", store, "--author", "A", "--reason", "r")
    assert code == 3
    assert "IXORA-X" in err


def test_a_persons_judgement_is_kept_and_moves_the_level(cli, store):
    where = ["--store", store, "--question", "asas40-nr-naive", "--treatment", "ixekizumab", "--comparator", "placebo"]
    what = ["--item", "imprecision", "--value", "no concerns", "--author", "A. Panel", "--reason", "a trial"]
    code, out, _ = cli("certainty", "judge", "axspa", *where, *what, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["after"]["domains"]["imprecision"]["by"] == "A. Panel"
    order = ["very low", "low", "moderate", "high"]
    assert order.index(told["after"]["rating"]) > order.index(told["before"]["rating"])


def test_tools_are_listed(cli):
    told = json.loads(cli("rob", "tools", "--json")[1])
    assert {t["tool"] for t in told} >= {"rob2-2019", "robins-i-2016", "robins-i-v2-2025", "rob-me-2023"}
