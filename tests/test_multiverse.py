"""A multiverse: every combination once, the same numbers wherever they are computed, failures as rows."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest

import enthesis as en
from enthesis.assess.specification_curve import curve_summary, variance_shares
from enthesis.errors import UsageError
from enthesis.evidence import bundled_evidence
from enthesis.execute import Folder
from enthesis.living.axes import checked_axes, split
from enthesis.living.multiverse import multiverse
from enthesis.living.review import Review
from enthesis.living.specification import Specification, estimate_of, restated
from published import TABLES
from test_cli_main import called

DRAWS = 200
PAIR = ("upadacitinib", "placebo")


@pytest.fixture(scope="module")
def smoking():
    table = pd.read_csv(TABLES / "hasselblad1998.csv")[["study", "trt", "xi", "ni"]]
    table.columns = ["study", "treatment", "events", "n"]
    return en.from_table(table, measure="OR", reference="no_contact")


@pytest.fixture(scope="module")
def review():
    return Review.load("axspa"), bundled_evidence()


def of_review(review, axes, **more):
    return multiverse(review[0], "asas40-r", comparison=PAIR, axes=axes, evidence=review[1], draws=DRAWS, **more)


SMALL = {"engine": "laplace,gls", "heterogeneity": "random,common", "prior_tau": "half-normal(0.5),half-normal(1)"}


@pytest.fixture(scope="module")
def small(smoking):
    return multiverse(smoking, comparison=("grp_counseling", "no_contact"), axes=SMALL, draws=DRAWS)


# what is computed


def test_an_analysis_is_counted_once_where_an_axis_does_not_matter(small):
    # two priors only for the Bayesian random-effects model
    assert small.table[["engine", "heterogeneity", "prior_tau"]].to_numpy().tolist() == [
        ["laplace", "random", "half-normal(0.5)"],
        ["laplace", "random", "half-normal(1)"],
        ["laplace", "common", ""],
        ["gls", "random", ""],
        ["gls", "common", ""],
    ]


def test_a_row_is_what_the_fit_alone_gives(smoking, small):
    row = small.table[(small.table.engine == "gls") & (small.table.heterogeneity == "random")].iloc[0]
    effect = en.relative_effects(en.fit(smoking, engine="gls"), "no_contact").set_index("treatment")
    expected = effect.loc["grp_counseling", ["estimate", "lower", "upper"]]
    assert row[["estimate", "lower", "upper"]].tolist() == expected.tolist()


def test_the_prior_of_an_axis_reaches_the_model(smoking, small):
    model = en.Model(heterogeneity=en.Exchangeable(sd=en.HalfNormal(0.5)))
    alone = en.fit(smoking, model, engine="laplace", draws=DRAWS)
    assert small.table.loc[0, "tau"] == alone.tau.estimate


def test_the_likelihood_axis_compares_the_exact_one_with_contrasts(smoking):
    found = multiverse(smoking, comparison=("grp_counseling", "no_contact"), draws=DRAWS,
                       axes={"likelihood": "exact,contrasts", "heterogeneity": ["common"]})  # fmt: skip
    contrasts = en.fit(smoking, en.Model(heterogeneity=en.Common(), likelihood="contrasts"), draws=DRAWS)
    at = contrasts.network.index("grp_counseling")
    assert found.table.loc[1, "estimate"] == pytest.approx(contrasts.estimate[at])
    assert abs(found.table.loc[0, "estimate"] - found.table.loc[1, "estimate"]) > 0.005


def test_the_exact_likelihood_of_risk_ratios_is_one_of_the_choices(smoking):
    axes = {"measure": ["RR"], "likelihood": "exact,contrasts", "heterogeneity": "common"}
    found = multiverse(smoking, comparison=("grp_counseling", "no_contact"), draws=DRAWS, axes=axes)
    assert found.table["status"].tolist() == ["ok", "ok"]
    assert found.table["estimate"].nunique() == 2


def test_leaving_out_each_study_is_an_axis(smoking):
    found = multiverse(smoking, comparison=("grp_counseling", "no_contact"), axes={"engine": ["gls"],
                       "without": ["none", "each"]})  # fmt: skip
    assert len(found.table) == smoking.n_studies + 1
    without = found.table[found.table["without"] == smoking.studies[4]].iloc[0]
    rows = [r for r in smoking.arms_table().to_dict("records") if r["study"] != smoking.studies[4]]
    again = en.from_table([{k: r[k] for k in ("study", "treatment", "events", "n")} for r in rows], measure="OR",
                          reference="no_contact")  # fmt: skip
    fit = en.fit(again, engine="gls")
    assert without["estimate"] == pytest.approx(fit.estimate[fit.network.index("grp_counseling")], abs=1e-10)


# questions of a review


def test_a_drug_is_found_as_regimen_and_as_class(review):
    table = of_review(review, {"nodes": "drug,dose,class", "engine": "gls"}).table
    assert table["treatment"].tolist() == ["upadacitinib", "upadacitinib 15 mg QD", "JAKi"]
    assert (table["status"] == "ok").all()


def test_a_regimen_is_found_as_drug_and_as_class(review):
    found = multiverse(review[0], "asas40-dose", comparison=("tofacitinib 5 mg BID", "placebo"),
                       axes={"nodes": "dose,drug,class", "engine": "gls"}, evidence=review[1])  # fmt: skip
    assert found.table["treatment"].tolist() == ["tofacitinib 5 mg BID", "tofacitinib", "JAKi"]


def test_two_drugs_of_a_class_are_a_row_that_says_so(review):
    found = multiverse(review[0], "asas40-r", comparison=("upadacitinib", "tofacitinib"),
                       axes={"nodes": "drug,class", "engine": "gls"}, evidence=review[1])  # fmt: skip
    assert found.table["status"].tolist() == ["ok", "failed"]
    assert "are one node, 'JAKi'" in found.table.loc[1, "message"]


def test_axes_of_a_question_change_the_studies(review):
    table = of_review(review, {"weeks": [(12, 16), (12, 24)], "deduced": "in,out", "engine": ["gls"]}).table
    studies = table.set_index(["weeks", "deduced"])["n_studies"]
    assert studies["12-24", "in"] > studies["12-16", "in"] > studies["12-16", "out"]


def test_a_window_without_studies_is_a_row_that_says_so(review):
    table = of_review(review, {"weeks": "12-16,0.1-0.2", "engine": ["gls"]}).table
    assert table["status"].tolist() == ["ok", "failed"]
    assert "no study answers the question" in table.loc[1, "message"]


def test_measures_are_stated_together_as_risk_differences(review):
    found = of_review(review, {"measure": "OR,RR,RD", "engine": ["gls"]})
    assert found.scale == "RD"
    assert found.table["estimate"].between(0.1, 0.4).all()
    assert np.ptp(found.table["estimate"]) < 0.1


@pytest.mark.parametrize("own", ["OR", "RR"])
def test_a_ratio_is_restated_as_the_difference_that_it_makes(own):
    a, b = 0.3, 0.2
    ratio = a / b if own == "RR" else a / (1 - a) / (b / (1 - b))
    assert restated(np.array([np.log(ratio)]), own, "RD", b)[0] == pytest.approx(0.1)


def test_the_first_model_of_the_review_is_what_axes_change(review):
    found = of_review(review, {"likelihood": ["exact"]})
    answer = en.run_review(review[0], only="asas40-r", evidence=review[1]).answers[0]
    sd = review[0].models[0].model(answer.question).heterogeneity.sd
    alone = en.fit(answer.fitted, en.Model(heterogeneity=en.Exchangeable(sd=sd)), engine="laplace", draws=DRAWS)
    assert found.table.loc[0, "tau"] == alone.tau.estimate


# failures


def test_a_study_that_is_the_only_link_gives_a_row_with_its_sentence():
    rows = [dict(study=s, treatment=t, events=r, n=60) for s, pair in (("1", "AB"), ("2", "AB"), ("3", "BC"))
            for t, r in zip(pair, (10, 20), strict=True)]  # fmt: skip
    found = multiverse(en.from_table(rows, measure="OR", reference="A"), comparison=("C", "A"),
                       axes={"engine": ["gls"], "without": "none,each"})  # fmt: skip
    broken = found.table[found.table["without"] == "3"].iloc[0]
    assert broken["status"] == "failed"
    assert "'C' is not known" in broken["message"]
    assert np.isnan(broken["estimate"])
    assert found.summary()["failed"] == 1


def test_a_fault_in_a_fit_is_a_row_and_the_others_go_on(smoking, monkeypatch):
    def broken(network, model, *, engine, **settings):
        if engine == "gls":
            raise np.linalg.LinAlgError("singular")
        return en.fit(network, model, engine=engine, **settings)

    monkeypatch.setattr("enthesis.living.specification.fit", broken)
    found = multiverse(smoking, comparison=("grp_counseling", "no_contact"), axes={"engine": "laplace,gls"},
                       draws=DRAWS)  # fmt: skip
    assert found.table["status"].tolist() == ["ok", "failed"]
    assert "LinAlgError: singular" in found.table.loc[1, "message"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"axes": {"enigne": "gls"}}, "Did you mean 'engine'"),
        ({"axes": {"engine": "glss"}}, "engine 'glss' is not known"),
        ({"axes": {"engine": []}}, "has no values"),
        ({"axes": {"nodes": "drug"}}, "changes the question of a review"),
        ({"axes": {"without": "nobody"}}, "study 'nobody' is not known"),
        ({"axes": {"measure": "OR,MD"}}, "cannot take MD"),
        ({"axes": {"prior_tau": "half-normal"}}, "prior"),
        ({"comparison": ("no_contact", "no_contact")}, "compared with itself"),
        ({"comparison": ("grp_counselling", "no_contact")}, "Did you mean 'grp_counseling'"),
        ({"scale": "RR"}, "cannot be stated as RR"),
        ({"scale": "RD", "baseline_risk": 1.5}, "between 0 and 1"),
        ({"mid": 1.0}, "a ratio not 1"),
        ({"engine": "jags"}, "engine 'jags' is not known"),
        ({"question": "asas40"}, "belong to a review"),
    ],
    ids=lambda x: "" if isinstance(x, str) else str(next(iter(x.values()))),
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(smoking, arguments, sentence):
    settings = {"comparison": ("grp_counseling", "no_contact"), "axes": {"engine": ["gls"]}} | arguments
    with pytest.raises(UsageError, match=sentence):
        multiverse(smoking, **settings)


def test_too_many_specifications_are_refused_before_the_first(smoking):
    axes = {"prior_tau": [f"half-normal({i})" for i in range(1, 60_000)]}
    with pytest.raises(UsageError, match="at most 50,000"):
        multiverse(smoking, comparison=("grp_counseling", "no_contact"), axes=axes)


def test_commas_in_brackets_do_not_part_values():
    assert checked_axes({"prior_tau": "uniform(0,5),half-normal(1)"}, review=False)["prior_tau"] == (
        "uniform(0, 5)", "half-normal(1)")  # fmt: skip
    assert split("a,(b,c),d") == ["a", "(b,c)", "d"]


# the same wherever it runs


def test_processes_give_the_same_table(smoking, small):
    two = multiverse(smoking, comparison=("grp_counseling", "no_contact"), axes=SMALL, draws=DRAWS, workers=2)
    pd.testing.assert_frame_equal(two.table, small.table, check_exact=True)


def test_a_second_run_with_a_cache_fits_nothing(smoking, small, tmp_path, monkeypatch):
    arguments = {"comparison": ("grp_counseling", "no_contact"), "axes": SMALL, "draws": DRAWS}
    multiverse(smoking, cache=Folder(tmp_path), **arguments)
    monkeypatch.setattr("enthesis.living.specification.fit", None)
    again = multiverse(smoking, cache=Folder(tmp_path), **arguments)
    pd.testing.assert_frame_equal(again.table, small.table, check_exact=True)


def test_the_hash_tells_specifications_apart(small):
    assert small.table["hash"].is_unique
    assert set(small.table["hash"].str.len()) == {64}


def test_network_and_model_survive_pickling(smoking):
    smoking.pairs  # noqa: B018  a property that is kept must not stand in the way
    model = en.Model(heterogeneity=en.Exchangeable(sd=en.HalfNormal(0.5)))
    spec = Specification(network=smoking, model=model, engine="gls", treatment="grp_counseling",
                         comparator="no_contact", scale="OR")  # fmt: skip
    again = pickle.loads(pickle.dumps(spec))
    assert again.network.content_hash == smoking.content_hash
    assert again.model == model
    assert str(estimate_of(again)) == str(estimate_of(spec))


# the summary


def additive():
    rows = [
        {"a": a, "b": b, "estimate": x + y} for a, x in (("p", 0.0), ("q", 1.0)) for b, y in (("u", 0.0), ("v", 0.5))
    ]
    return pd.DataFrame(rows).assign(lower=lambda t: t.estimate - 0.3, upper=lambda t: t.estimate + 0.3, status="ok")


def test_shares_of_a_balanced_table_are_those_of_an_analysis_of_variance():
    shares = variance_shares(additive(), ["a", "b"]).set_index("axis")["share"]
    assert shares.round(12).to_dict() == {"a": 0.8, "b": 0.2, "interaction": 0.0}


def test_what_axes_do_only_together_is_interaction():
    table = additive().assign(estimate=[0.0, 1.0, 1.0, 0.0])
    assert variance_shares(table, ["a", "b"]).set_index("axis")["share"]["interaction"] == pytest.approx(1.0)


def test_shares_sum_to_one_when_combinations_are_missing():
    table = additive().iloc[:3]
    shares = variance_shares(table, ["a", "b"])["share"]
    assert shares.sum() == pytest.approx(1)
    assert (shares >= 0).all()


def test_a_summary_counts_what_excludes_no_difference_and_what_matters():
    told = curve_summary(additive(), ["a", "b"], limit=0.9)
    assert (told["lowest"], told["median"], told["highest"]) == (0.0, 0.75, 1.5)
    assert (told["share_excluding_null"], told["share_beyond_mid"], told["share_interval_beyond_mid"]) == (
        0.75,
        0.5,
        0.25,
    )
    assert (told["most_moving_axis"], round(told["most_moving_share"], 6)) == ("a", 0.8)


def test_a_summary_of_failures_only_has_no_numbers_and_raises_nothing():
    table = additive().assign(estimate=np.nan, lower=np.nan, upper=np.nan, status="failed")
    told = curve_summary(table, ["a", "b"])
    assert (told["estimated"], told["failed"], told["most_moving_axis"]) == (0, 4, None)


# the command

AXES = ["--axis", "engine=laplace,gls", "--axis", "prior_tau=half-normal(0.5),uniform(0,2)"]
TABLE = TABLES.parents[1] / "docs" / "tutorials" / "smoking.csv"
COMMAND = ["multiverse", str(TABLE), "--measure", "OR", "--reference", "no_contact", "--treatment", "grp_counseling",
           "--workers", "1", "--draws", "200"]  # fmt: skip


def test_the_command_prints_json(capsys):
    code, out, _ = called(capsys, *COMMAND, *AXES, "--json", "-")
    told = json.loads(out)
    assert code == 0
    assert told["summary"]["specifications"] == len(told["specifications"]) == 3
    assert told["axes"]["prior_tau"] == ["half-normal(0.5)", "uniform(0, 2)"]


def test_the_command_says_the_range_and_draws_the_curve(capsys, tmp_path):
    code, out, _ = called(
        capsys, *COMMAND, *AXES, "--figure", str(tmp_path / "c.svg"), "--export", str(tmp_path / "t.csv")
    )
    assert code == 0
    assert "3 specifications, 0 failed" in out
    assert (tmp_path / "c.svg").read_text(encoding="utf-8").startswith("<svg")
    assert len(pd.read_csv(tmp_path / "t.csv")) == 3


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--axis", "engine"], "must be name=values"),
        (["--axis", "engine=gls", "--axis", "engine=laplace"], "given twice"),
        (["--axis", "nodes=drug"], "changes the question of a review"),
        (["--question", "asas40"], "--review"),
        (["--scheduler", "tcp://127.0.0.1:1"], "not both"),
    ],
    ids=lambda x: "" if isinstance(x, str) else " ".join(x),
)
def test_the_command_refuses_with_a_sentence(capsys, more, sentence):
    code, out, err = called(capsys, *COMMAND, *more)
    assert (code, out) == (2, "")
    assert sentence in err


def test_the_command_needs_a_treatment(capsys):
    code, _, err = called(capsys, *COMMAND[:6])
    assert code == 2
    assert "--treatment is needed" in err


def test_nothing_estimated_has_its_exit_code(capsys):
    asked = ["--review", "axspa", "--question", "asas40-r", "--treatment", "upadacitinib", "--workers", "1"]
    code, _, err = called(capsys, "multiverse", *asked, "--axis", "weeks=0.1-0.2", "--axis", "engine=gls")
    assert code == 4
    assert "no study answers" in err
