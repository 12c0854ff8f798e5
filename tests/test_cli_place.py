"""`enthesis threshold`, `benefit-risk` and `place`: of a table and of a review, to JSON and figures, and refusals."""

from __future__ import annotations

import json
import shutil
from xml.etree import ElementTree

import jsonschema
import pytest

from enthesis.cli.main import run
from enthesis.evidence import bundled_folder
from enthesis.report.render.json import schema

TABLE = "study,treatment,events,n\n" + "".join(
    f"{s},placebo,{r},{n}\n{s},{t},{d},{m}\n"
    for s, t, r, n, d, m in (("A", "drug", 4, 50, 19, 52), ("B", "drug", 6, 60, 24, 61), ("C", "other", 5, 50, 13, 50))
)
PLACE = 'broader = "asas40-r"\n'


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
def table(tmp_path):
    path = tmp_path / "trials.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture(scope="module")
def review(tmp_path_factory):
    """The flagship with one population and line, and two criteria that are quick to fit."""
    folder = tmp_path_factory.mktemp("review") / "small"
    shutil.copytree(bundled_folder().parent, folder)
    text = (folder / "place.toml").read_text(encoding="utf-8")
    head, *cells = text.split("[[cell]]")
    rest = cells[-1][cells[-1].index("# --- rules") :]
    rules, after = rest.split("# --- what to try after what")
    wording = after[after.index("# --- how the wordings") :]
    only = cells[0].replace(PLACE, "")
    head = head.replace('harms = ["sae", "ae-disc", "serinf"]', "harms = []")
    (folder / "place.toml").write_text(f"{head}[[cell]]{only}{rules}{wording}", encoding="utf-8")
    text = (folder / "benefit-risk.toml").read_text(encoding="utf-8")
    for old, new in (("asas40", "asas40-r-naive"), ("ae-disc", "asas40-r-ir"), ("sae", "asas20-ir")):
        text = text.replace(old, new)
    (folder / "benefit-risk.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "fits"


def test_thresholds_of_a_table_name_the_decision(cli, table):
    code, out, _ = cli("threshold", table, "--measure", "OR", "--better", "higher")
    assert code == 0
    assert out.startswith("Decision (the best treatment): drug.")


def test_thresholds_are_written_as_json(cli, table):
    rule = ("--rule", "superior", "--margin", "1.5", "--json", "-")
    code, out, _ = cli("threshold", table, "--measure", "OR", "--better", "higher", *rule)
    told = json.loads(out)
    assert (code, sorted(told["decision"]), len(told["rows"])) == (0, ["drug", "other"], 3)


def test_thresholds_are_drawn_with_their_words(cli, table, tmp_path):
    figure = tmp_path / "thresholds.svg"
    assert cli("threshold", table, "--measure", "OR", "--better", "higher", "--figure", figure)[0] == 0
    ElementTree.parse(figure)
    assert "Decision-invariant intervals of 3 data points" in figure.read_text(encoding="utf-8")


def test_a_direction_that_is_not_known_is_said(cli, table):
    assert "Higher is taken as better" in cli("threshold", table, "--measure", "OR")[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--rule", "top", "--k", "9"), "between 1 and 3"), (("--rule", "superior", "--comparator", "drg"), "'drug'"),
     (("--margin", "-1"), "margin"), (("--level", "comparison", "--refit"), "level of studies")],
)  # fmt: skip
def test_what_thresholds_cannot_answer_is_one_sentence(cli, table, options, said):
    code, _, err = cli("threshold", table, "--measure", "OR", "--better", "higher", *options)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_places_are_printed_by_population_and_line(cli, review, kept):
    code, out, _ = cli("place", review, "--keep", kept, "--no-safety", "--why")
    assert code == 0
    assert "r-axSpA, biologic-naive" in out
    assert "first-choice: P(gain(drug, reference) > margin) >= threshold: True" in out


def test_places_in_json_meet_the_schema_of_the_results(cli, review, kept):
    out = cli("place", review, "--keep", kept, "--no-safety", "--json", "-")[1]
    jsonschema.validate(json.loads(out)["place"], schema()["properties"]["place"])


def test_another_threshold_decides_again_without_a_fit(cli, review, kept, monkeypatch):
    cli("place", review, "--keep", kept, "--no-safety")
    monkeypatch.setattr("enthesis.living.review.fit", None)
    set_ = ("--set", "first-choice.least=4", "--drug", "adalimumab", "--json", "-")
    told = json.loads(cli("place", review, "--keep", kept, "--no-safety", *set_)[1])
    assert [e["place"] for e in told["place"]] == ["option"]
    assert told["place"][0]["rules_nearly_fired"][0]["rule"] == "first-choice"


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--set", "first.threshold=1"), "rule 'first' is not known"), (("--set", "threshold"), "rule.number=value"),
     (("--set", "first-choice.threshold=high"), "is a number"), (("--cell", "r-navie"), "Did you mean 'r-naive'")],
)  # fmt: skip
def test_what_places_cannot_answer_is_said_before_anything_is_fitted(cli, review, monkeypatch, options, said):
    monkeypatch.setattr("enthesis.living.review.run_review", None)
    code, _, err = cli("place", review, *options)
    assert code == 2
    assert said in err


def test_a_drug_that_has_no_row_is_refused(cli, review, kept):
    code, _, err = cli("place", review, "--keep", kept, "--no-safety", "--drug", "adalimumap")
    assert code == 2
    assert "Did you mean 'adalimumab'" in err


def test_benefit_and_risk_with_weights_of_the_reader(cli, review, kept, tmp_path):
    figure = tmp_path / "ranks.svg"
    own = ("--weight", "asas40-r-naive=60", "--weight", "asas20-ir=20", "--weight", "asas40-r-ir=20")
    code, out, _ = cli("benefit-risk", review, "--keep", kept, *own, "--figure", figure, "--json", "-")
    assert code == 0
    told = json.loads(out)
    jsonschema.validate(told, schema()["properties"]["benefit_risk"])
    assert told["profiles"][0]["preferences"].startswith("ASAS40 response 60 %")
    assert "Rank acceptabilities" in figure.read_text(encoding="utf-8")


def test_an_order_of_the_criteria_is_enough(cli, review, kept):
    order = "asas40-r-naive,asas20-ir,asas40-r-ir"
    code, out, _ = cli("benefit-risk", review, "--keep", kept, "--order", order, "--between", "asas40-r-naive=0.4:0.9")
    assert code == 0
    assert "ASAS40 response before" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--profile", "none"), "profile 'none'"), (("--weight", "asas40-r-naive=1"), "name every criterion"),
     (("--weight", "x=1"), "criterion 'x'"), (("--profile", "swing", "--order", "a,b"), "not both"),
     (("--between", "asas20-ir=low:high"), "is not a number"), (("--order", "asas20-ir"), "each of them once")],
)  # fmt: skip
def test_preferences_that_make_no_sense_are_said_before_anything_is_fitted(cli, review, monkeypatch, options, said):
    monkeypatch.setattr("enthesis.living.review.run_review", None)
    code, _, err = cli("benefit-risk", review, *options)
    assert code == 2
    assert said in err


def test_a_review_without_rules_of_place_says_so(cli, review, tmp_path):
    folder = tmp_path / "without"
    shutil.copytree(review, folder)
    (folder / "place.toml").unlink()
    code, _, err = cli("place", folder)
    assert code == 2
    assert "has no rules of place" in err
