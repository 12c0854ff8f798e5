"""`enthesis fit`: its contract, its exit codes, and what a person reads."""

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

import enthesis as en
from enthesis.cli.main import run

TABLES = Path(__file__).parent / "tables"
SCHEMA = json.loads((files("enthesis") / "schemas" / "fit.schema.json").read_text(encoding="utf-8"))
COUNTS = "study,treatment,events,n\nA,placebo,4,50\nA,drug,9,52\nB,placebo,6,60\nB,drug,14,61\n"


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
def counts(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(COUNTS)
    return path


@pytest.mark.parametrize("engine", ["gls", "laplace"])
@pytest.mark.parametrize("effects", ["random", "common"])
@pytest.mark.parametrize("table", ["hasselblad1998.csv", "senn2013.csv", "nielweise2008.csv", "linde2016.csv"])
def test_the_json_meets_its_schema(cli, table, effects, engine):
    code, out, _ = cli("fit", TABLES / table, "--effects", effects, "--engine", engine, "--json", "-")
    assert code == 0
    jsonschema.validate(json.loads(out), SCHEMA)


def test_the_json_is_what_the_library_returns(cli, counts):
    _, out, _ = cli("fit", counts, "--measure", "RR", "--engine", "gls", "--no-assess", "--json", "-")
    network = en.from_table(counts, measure="RR")
    assert json.loads(out) == json.loads(json.dumps(en.fit_json(en.fit(network, engine="gls"))))


def test_every_ordered_pair_is_there(cli):
    _, out, _ = cli("fit", TABLES / "hasselblad1998.csv", "--engine", "gls", "--json", "-")
    told = json.loads(out)
    size = told["n_treatments"]
    assert len({(e["treatment"], e["comparator"]) for e in told["relative_effects"]}) == size * (size - 1)


@pytest.mark.parametrize(
    ("options", "where", "value"),
    [
        (["--measure", "RD"], ("measure",), "RD"),
        (["--reference", "drug"], ("reference",), "drug"),
        (["--effects", "common"], ("effects",), "common"),
        (["--engine", "gls", "--tau", "DL"], ("diagnostics", "tau_method"), "DL"),
        (["--seed", "7"], ("diagnostics", "seed"), 7),
        (["--draws", "500"], ("diagnostics", "draws"), 500),
        (["--better", "lower"], ("better",), "lower"),
        (["--prior-tau", "uniform(0,5)"], ("model",), "random effects, tau ~ uniform(0, 5); d ~ normal(0, 100)"),
        (["--prior-d", "normal(0,1)"], ("model",), "random effects, tau ~ half-normal(1); d ~ normal(0, 1)"),
        (["--engine", "gls", "--ci", "t"], ("diagnostics", "ci_method"), "t"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else None,
)
def test_an_option_does_what_it_says(cli, counts, options, where, value):
    code, out, _ = cli("fit", counts, *options, "--json", "-")
    told = json.loads(out)
    for key in where:
        told = told[key]
    assert (code, told) == (0, value)


def test_a_prior_changes_the_answer(cli, counts):
    answers = []
    for prior in ("normal(0,100)", "normal(0,0.1)"):
        _, out, _ = cli("fit", counts, "--prior-d", prior, "--json", "-")
        answers.append(abs(json.loads(out)["relative_effects"][0]["estimate"]))
    assert answers[1] < answers[0] / 5


def test_json_to_a_file_leaves_the_table_on_the_screen(cli, counts, tmp_path):
    target = tmp_path / "result.json"
    code, out, err = cli("fit", counts, "--json", target)
    assert code == 0
    assert "odds ratio against placebo" in out
    assert str(target) in err
    jsonschema.validate(json.loads(target.read_text()), SCHEMA)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_column_is_named_on_the_command_line(cli, tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text(COUNTS.replace("events", "better"))
    assert cli("fit", path)[0] == 3
    assert cli("fit", path, "--column", "events=better")[0] == 0


def test_a_person_reads_network_mapping_effects_and_status(cli, counts):
    _, out, _ = cli("fit", counts, "--better", "higher")
    for words in ("2 studies, 4 arms, 223 patients", "was read as arm per row", "Pareto k", "drug", "SUCRA"):
        assert words in out


def test_what_was_left_out_is_said(cli, tmp_path):
    path = tmp_path / "one-arm.csv"
    path.write_text(COUNTS + "C,drug,3,20\n")
    _, out, _ = cli("fit", path, "--engine", "gls")
    assert "Left out" in out
    assert "C" in out.split("Left out")[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--measure", "ORR"], "Did you mean"),
        (["--engine", "stan"], "engine 'stan' is not known"),
        (["--engine", "gls", "--tau", "XX"], "'XX'"),
        (["--reference", "placbo"], "Did you mean 'placebo'?"),
        (["--prior-tau", "gamma(1,1)"], "is not understood"),
        (["--prior-tau", "normal(0,1)"], "below 0"),
        (["--prior-d", "uniform(0,1)"], "must be a normal"),
        (["--draws", "3"], "draws must be"),
        (["--effects", "fixed"], "fixed"),
        (["--column", "events"], "role=column"),
        (["--nonsense"], "--nonsense"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else None,
)
def test_wrong_usage_is_exit_code_2_and_a_sentence(cli, counts, options, words):
    code, out, err = cli("fit", counts, *options)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("study,treatment,events,n\nA,placebo,57%,50\nA,drug,9,52\n", "row 2, column 'events', value '57%'"),
        ("study,treatment,events,n\nA,placebo,60,50\nA,drug,9,52\n", "row 2"),
        ("a,b\n1,2\n", "study"),
        ("study,treatment,events,n\nA,x,1,9\nA,y,2,9\nB,z,1,9\nB,w,2,9\n", "share"),
    ],
    ids=["empty", "percent", "events above n", "unknown columns", "not connected"],
)
def test_bad_data_is_exit_code_3_and_names_the_place(cli, tmp_path, content, words):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    code, out, err = cli("fit", path)
    assert (code, out) == (3, "")
    assert words in err
    assert "Traceback" not in err


def test_a_missing_file_is_a_sentence(cli, tmp_path):
    code, _, err = cli("fit", tmp_path / "none.csv")
    assert code == 3
    assert "none.csv" in err


def test_a_folder_that_does_not_exist_is_a_sentence(cli, counts, tmp_path):
    code, _, err = cli("fit", counts, "--json", tmp_path / "none" / "x.json")
    assert code == 2
    assert "folder" in err


def test_a_fit_that_is_not_ok_is_exit_code_4_with_its_result(cli, counts, monkeypatch):
    import dataclasses

    import enthesis.inference.fit as engine
    from enthesis.inference.result import Status

    plain = engine.fit

    def doubtful(*args, **settings):
        return dataclasses.replace(plain(*args, **settings), status=Status(ok=False, message="Weights are unreliable."))

    monkeypatch.setattr(engine, "fit", doubtful)
    code, out, err = cli("fit", counts, "--json", "-")
    assert code == 4
    assert json.loads(out)["status"] == {"ok": False, "message": "Weights are unreliable."}
    assert "Weights are unreliable." in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tau", "DL"], "engine gls"),
        (["--engine", "gls", "--prior-tau", "uniform(0,5)"], "no priors"),
        (["--effects", "common", "--prior-tau", "uniform(0,5)"], "no tau"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else None,
)
def test_an_option_without_effect_is_noted(cli, counts, options, words):
    code, _, err = cli("fit", counts, *options)
    assert code == 0
    assert words in err


def test_names_cannot_steer_the_terminal(cli, tmp_path):
    path = tmp_path / "names.csv"
    path.write_text(COUNTS.replace("drug", "[red]dr\x1b[31mug[/red]"))
    code, out, err = cli("fit", path)
    assert code in (0, 3)
    assert "\x1b" not in out + err
