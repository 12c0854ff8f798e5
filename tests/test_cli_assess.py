"""`enthesis consistency`, `contribution`, `ranks`, `influence`, `funnel`: of a table or a review, to JSON and files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import enthesis as en
from enthesis.assess.leave_out import leave_one_study_out
from enthesis.assess.node_splitting import node_splits
from enthesis.cli.main import run

SENN = Path(__file__).parent / "tables" / "senn2013.csv"
COMMANDS = ("consistency", "contribution", "ranks", "influence", "funnel")
PAIR = "study,treatment,events,n\n" + "".join(
    f"{s},placebo,{r},{n}\n{s},drug,{r + 6},{n}\n"
    for s, r, n in (("A", 4, 50), ("B", 6, 60), ("C", 9, 200), ("D", 3, 30))
)
STAR = "study,treatment,events,n\n" + "".join(
    f"{s},placebo,{r},{n}\n{s},{t},{d},{m}\n"
    for s, t, r, n, d, m in (("A", "drug", 4, 50, 9, 52), ("B", "drug", 6, 60, 14, 61), ("C", "other", 5, 50, 8, 50))
)
LOOP = "study,treatment,events,n\n" + "".join(
    f"{s},{a},{r},{n}\n{s},{b},{r + d},{n}\n"
    for s, a, b, r, d, n in (("A", "placebo", "drug", 4, 6, 50), ("B", "placebo", "drug", 9, 9, 90),
                             ("C", "placebo", "other", 8, 12, 80), ("D", "placebo", "other", 5, 9, 40),
                             ("E", "drug", "other", 10, 4, 60), ("F", "drug", "other", 20, 2, 100))
)  # fmt: skip


@pytest.fixture
def cli(capsys):
    """Run the program; returns (exit code, standard output, standard error)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            run([str(a) for a in arguments])
        said = capsys.readouterr()
        return stop.value.code or 0, said.out, said.err

    return call


@pytest.fixture
def pair(tmp_path):
    path = tmp_path / "pair.csv"
    path.write_text(PAIR)
    return path


@pytest.fixture
def star(tmp_path):
    path = tmp_path / "star.csv"
    path.write_text(STAR)
    return path


@pytest.fixture
def loop(tmp_path):
    path = tmp_path / "loop.csv"
    path.write_text(LOOP)
    return path


@pytest.fixture(scope="module")
def senn():
    return en.fit(en.from_table(SENN), engine="gls")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("table", ["pair", "star"])
def test_a_command_answers_for_two_treatments_and_for_a_star(cli, request, command, table):
    code, out, _ = cli(command, request.getfixturevalue(table), "--measure", "OR", "--json", "-")
    assert (code, json.loads(out)["measure"]) == (0, "OR")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_a_table_for_people(cli, command):
    code, out, _ = cli(command, SENN)
    assert (code, len(out.splitlines()) > 4) == (0, True)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("ending", ["csv", "xlsx", "docx"])
def test_a_command_exports_its_table(cli, tmp_path, loop, command, ending):
    path = tmp_path / f"table.{ending}"
    code, _, err = cli(command, loop, "--export", path)
    assert (code, path.stat().st_size > 100, f"Written: {path}" in err) == (0, True, True)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("ending", "start"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("html", b"<!doctype html>")])
def test_a_command_draws_its_figure(cli, tmp_path, loop, command, ending, start):
    path = tmp_path / f"figure.{ending}"
    code, _, _ = cli(command, loop, "--figure", path)
    assert (code, path.read_bytes()[: len(start)]) == (0, start)


@pytest.mark.parametrize(
    ("command", "options"),
    [("consistency", ["--plot", "net-heat"]), ("influence", ["--by", "diagnostics", "--plot", "baujat"]),
     ("influence", ["--by", "cumulative"]), ("influence", ["--by", "comparison"]),
     ("influence", ["--by", "diagnostics"]),
     ("ranks", ["--plot", "rankogram"]), ("funnel", ["--treatment", "drug"])],
)  # fmt: skip
def test_the_other_figures_are_drawn_too(cli, tmp_path, loop, command, options):
    path = tmp_path / "figure.svg"
    cli(command, loop, *options, "--figure", path)
    assert ElementTree.fromstring(path.read_text()).tag.endswith("svg")


def test_the_figure_says_itself_to_a_screen_reader(cli, tmp_path, loop):
    path = tmp_path / "figure.svg"
    cli("influence", loop, "--treatment", "drug", "--figure", path)
    assert ElementTree.fromstring(path.read_text()).get("aria-label").startswith("Forest plot")


def test_a_page_with_a_figure_asks_no_other_host(cli, tmp_path):
    path = tmp_path / "figure.html"
    cli("ranks", SENN, "--better", "lower", "--figure", path)
    assert not [word for word in ("<script", "src=", "@import", "url(http") if word in path.read_text()]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_question_of_a_review_can_be_assessed(cli, command):
    code, out, _ = cli(command, "--review", "axspa", "--question", "asas40-nr", "--json", "-")
    assert (code, json.loads(out)["reference"]) == (0, "placebo")


def test_several_questions_are_ranked_together(cli):
    code, out, _ = cli(
        "ranks", "--review", "axspa", "--question", "asas40-nr", "--question", "asas20-nr", "--json", "-"
    )
    told = json.loads(out)
    assert (code, sorted(told["questions"]), "p_score" in told["joint"][0]) == (0, ["asas20-nr", "asas40-nr"], True)


def test_the_json_of_consistency_is_that_of_the_library(cli, senn):
    _, out, _ = cli("consistency", SENN, "--json", "-")
    told = [(row["comparison"], row["direct"]) for row in json.loads(out)["netsplit"]]
    splits = node_splits(senn)
    assert told == [(f"{r.treatment} : {r.comparator}", pytest.approx(r.direct)) for r in splits.itertuples()]


def test_the_shares_of_every_estimate_sum_to_one(cli):
    _, out, _ = cli("contribution", SENN, "--of", "study", "--json", "-")
    sums = [sum(row["contributions"].values()) for row in json.loads(out)["contribution"]]
    assert sums == pytest.approx([1.0] * len(sums))


def test_the_export_of_influence_is_the_table_of_the_library(cli, tmp_path, senn):
    path = tmp_path / "t.csv"
    cli("influence", SENN, "--export", path)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = leave_one_study_out(senn)
    exported = [float(row["estimate"]) for row in rows if row["estimate"]]
    assert exported == pytest.approx(table[table.ok].estimate.tolist())


def test_a_lost_link_is_a_warning_and_not_an_error(cli, star):
    code, out, err = cli("influence", star, "--measure", "OR", "--treatment", "other", "--json", "-")
    rows = [r for r in json.loads(out)["rows"] if r["left_out"] == "C" and r["treatment"] == "other"]
    assert (code, rows[0]["ok"], rows[0]["estimate"]) == (0, False, None)
    assert "warning: Without C no chain of studies links other to placebo" in err


def test_a_star_says_that_consistency_cannot_be_tested(cli, star):
    _, out, _ = cli("consistency", star, "--measure", "OR")
    assert "cannot be tested" in " ".join(out.split())


def test_a_test_that_cannot_be_done_says_why_and_the_others_are_done(cli, pair):
    _, out, _ = cli("funnel", pair, "--measure", "RR", "--json", "-")
    tests = {t["method"]: t for t in json.loads(out)["tests"]}
    assert "odds ratios" in tests["peters"]["message"]
    assert 0 <= tests["egger"]["p"] <= 1


def test_a_difference_that_matters_adds_its_scores(cli, pair):
    _, out, _ = cli("ranks", pair, "--measure", "OR", "--better", "higher", "--mid", "1.25", "--json", "-")
    row = json.loads(out)["ranks"][0]
    assert row["p_score_mid"] + row["p_worse_mid"] + row["p_similar_mid"] == pytest.approx(1)


def test_nobody_said_which_direction_is_better_is_a_note(cli, pair):
    assert "nobody said which direction is better" in cli("ranks", pair, "--measure", "OR")[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["consistency"], "name either a TABLE or --review"),
        (["consistency", SENN, "--review", "axspa"], "name either a TABLE or --review"),
        (["consistency", SENN, "--question", "asas40"], "give --review too"),
        (["consistency", "--review", "axspa"], "--review needs --question"),
        (["consistency", "--review", "axspa", "--question", "asas44"], "Did you mean"),
        (["ranks", "--review", "axspa", "--question", "asas40", "--column", "n=N"], "a review knows its columns"),
        (["influence", SENN, "--treatment", "metfromin"], "Did you mean 'metformin'"),
        (["influence", SENN, "--treatment", "placebo"], "is the comparator"),
        (["influence", SENN, "--by", "cumulative", "--order", "date"], "order 'date' is not known"),
        (["funnel", SENN, "--order", "placebo"], "the order must name every treatment"),
        (["ranks", SENN, "--figure", "f.pdf"], "must end in .svg, .png, .html"),
        (["ranks", SENN, "--export", "t.pdf"], "must end in .csv, .xlsx, .docx"),
        (["ranks", SENN, "--export", "no-such-folder/t.csv"], "does not exist"),
        (["ranks", SENN, "--column", "events"], "must be role=column"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(cli, arguments, says):
    code, out, err = cli(*arguments)
    assert (code, out, says in err, err.count("\n")) == (2, "", True, err.count("note:") + 1)
