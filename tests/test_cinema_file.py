"""CINeMA's project and report: written as CINeMA reads them, read back, refused when they are not."""

import json
from pathlib import Path

import pandas as pd
import pytest

from enthesis.assess.certainty import StudyFacts, certainty
from enthesis.assess.cinema_file import facts_of_table, project_json, read_project, report_table
from enthesis.errors import DataError, UsageError
from enthesis.inference.fit import fit
from enthesis.network.tables import from_table

FOLDER = Path(__file__).parents[1] / "validation" / "cinema"


@pytest.fixture(scope="module")
def made():
    table = pd.read_csv(FOLDER / "diabetes.csv")
    network = from_table(
        table[["study", "treatment", "events", "n"]], measure="OR", reference="Placebo", better="lower"
    )
    one = fit(network.replace(mid=1.1), engine="gls")
    facts = facts_of_table(FOLDER / "diabetes.csv")
    return one, certainty(one, facts), facts


def test_facts_of_a_table_are_its_columns_rob_and_indirectness(made):
    assert made[2]["HAPPHY"] == StudyFacts(bias=3, indirectness=1)


def test_a_project_is_read_back_as_it_was_written(made):
    one, ratings, facts = made
    project = read_project(project_json(one, ratings, facts))
    assert (project.facts, project.effects) == (facts, "random")
    assert project.network.n_studies == one.network.n_studies
    again = certainty(fit(project.network.replace(mid=1.1, reference="Placebo", better="lower"), engine="gls"), facts)
    for r in ratings.all:
        assert again.rating(r.treatment, r.comparator).level == r.level


def test_contributions_of_a_project_are_per_cent_and_sum_to_a_hundred(made):
    told = json.loads(project_json(*made))["project"]["CM"]["contributionMatrices"][0]
    assert all(sum(its.values()) == pytest.approx(100) for its in told["studycontributions"].values())
    assert len(told["hatmatrix"]["NMAresults"]) == 15
    indirect = next(r for r in told["hatmatrix"]["NMAresults"] if set(r["_row"].split(":")) == {"ACE", "ARB"})
    assert "Direct" not in indirect


def test_the_report_has_cinemas_columns_and_one_row_per_comparison(made):
    table = report_table(made[1])
    assert list(table.columns) == [
        "Comparison", "Number of studies", "Within-study bias", "Reporting bias", "Indirectness", "Imprecision",
        "Heterogeneity", "Incoherence", "Confidence rating", "Reason(s) for downgrading",
    ]  # fmt: skip
    assert len(table) == 15
    assert set(table["Confidence rating"]) <= {"High", "Moderate", "Low", "Very low"}


def saved_by_cinema(**changes):
    """The shape that CINeMA 2.0.0 saves: currentCM, judgements in boxes, levels as numbers."""
    arms = [{"study": s, "id": i, "t": t, "r": r, "n": 50, "rob": 2, "indirectness": "L"}
            for i, s in ((1, "One"), (2, "Two")) for t, r in (("A", 10), ("B", 20))]  # fmt: skip
    rules = [{"id": "majRule", "value": 2}, {"id": "meanRule", "value": 2}, {"id": "maxRule", "value": 2}]
    project = {
        "studies": {"long": arms}, "format": "long", "type": "binary",
        "CM": {"currentCM": {"params": {"MAModel": "fixed", "sm": "RD"},
                             "studycontributions": {"A:B": {"1": 50, "2": 50}}}},
        "netRob": {"studyLimitations": {"boxes": [{"id": "A:B", "rules": rules}]}},
        "imprecision": {"boxes": [{"id": "A:B", "judgement": 3}]},
        "clinImp": {"status": "ready", "baseValue": 0.1},
    }  # fmt: skip
    return json.dumps({"version": "2.0.0", "project": project | changes})


def test_a_project_saved_by_cinema_gives_its_model_and_its_judgements():
    project = read_project(saved_by_cinema())
    assert (project.effects, project.mid, project.network.measure.name) == ("common", 0.1, "RD")
    assert project.contributions["A", "B"] == {"One": 0.5, "Two": 0.5}
    assert project.judgements["A", "B"] == {"majority": 2, "average": 2, "highest": 2, "imprecision": 3}
    assert project.facts["One"] == StudyFacts(bias=2, indirectness=1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not a project"),
        ('{"project": {}}', "is not a project"),
        (saved_by_cinema(studies={"long": []}), "has no arms"),
        (saved_by_cinema(studies={"long": [{"t": "A"}]}), "lacks id or t"),
        (saved_by_cinema(studies={"long": [{"id": 1, "t": "A", "r": 1, "n": 5, "rob": 9, "indirectness": 1}]}),
         "column 'rob', value '?9"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_project_is_refused_in_a_sentence(text, says):
    with pytest.raises(DataError, match=says):
        read_project(text)


def test_a_network_of_contrasts_cannot_be_a_project():
    rows = [dict(study=s, treatment="B", comparator="A", effect=y, se=0.3) for s, y in (("1", 0.5), ("2", 0.8))]
    one = fit(from_table(rows, measure="MD", reference="A"), engine="gls")
    with pytest.raises(UsageError, match="counts or means by arm"):
        project_json(one, certainty(one), {})


def test_levels_that_differ_between_rows_of_a_study_are_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("study,treatment,events,n,rob\n1,A,5,50,1\n1,B,9,50,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 3"):
        facts_of_table(path)
