"""Options of `enthesis fit` for frequentist fits: each reaches the fit, and wrong ones are sentences."""

import json
from pathlib import Path

import pytest

from enthesis.cli.main import run
from test_cli_fit import SCHEMA

TABLES = Path(__file__).parent / "tables"
LINDE = (TABLES / "linde2016.csv", "--column", "study=id", "--column", "effect=lnOR", "--column", "se=selnOR")
RARE = (TABLES / "gurusamy2011.csv", "--column", "events=death")


def told(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        run(["fit", *map(str, arguments), "--no-assess", "--json", "-"])
    said = capsys.readouterr()
    return stop.value.code or 0, json.loads(said.out) if said.out else None, said.err


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        (("--prediction", "HTS"), "prediction_method", "HTS"),
        (("--tau-interval", "profile likelihood"), "tau_interval", "profile likelihood"),
        (("--tau", "PM"), "tau_method", "PM"),
        (("--ci", "t"), "ci_method", "t"),
    ],
)
def test_a_choice_reaches_the_fit(capsys, options, name, value):
    code, result, _ = told(capsys, *LINDE, "--measure", "OR", "--engine", "gls", *options)
    assert (code, result["diagnostics"][name]) == (0, value)


def test_components_are_in_the_json_and_meet_the_schema(capsys):
    import jsonschema

    options = ("--measure", "OR", "--engine", "gls", "--components", "--inactive", "Placebo")
    code, result, _ = told(capsys, *LINDE, *options)
    jsonschema.validate(result, SCHEMA)
    assert (code, len(result["components"])) == (0, 18)


def test_an_inactive_component_without_components_is_refused(capsys):
    code, _, said = told(capsys, *LINDE, "--inactive", "Placebo")
    assert (code, "--components" in said) == (2, True)


def test_the_continuity_correction_changes_the_answer(capsys):
    results = [
        told(capsys, *RARE, "--engine", "gls", *options)[1]["relative_effects"][0]["estimate"]
        for options in ((), ("--correction", "0.1"), ("--correction-scope", "all"))
    ]
    assert len(set(results)) == 3


def test_studies_without_events_stay_when_they_are_corrected(capsys):
    counts = [
        told(capsys, *RARE, "--engine", "gls", *options)[1]["n_studies"]
        for options in ((), ("--double-zero", "corrected"))
    ]
    assert counts == [11, 14]


@pytest.mark.parametrize("option", ["--correction-scope", "--double-zero", "--prediction", "--tau-interval"])
def test_an_unknown_choice_is_refused_with_the_known_ones(capsys, option):
    code, _, said = told(capsys, *RARE, "--engine", "gls", option, "nonsense")
    assert (code, "Known:" in said) == (2, True)
