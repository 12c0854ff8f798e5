"""Forecasts of a review: every registered trial is answered, kept once, and scored when it has reported."""

import json
import shutil

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from enthesis.assess.forecast import read_settings
from enthesis.assess.forecast_score import crps, rows_to_keep, scores
from enthesis.cli import main
from enthesis.errors import DataError
from enthesis.evidence import Store, load_tables
from enthesis.living.review import Review, run_review
from enthesis.report.document import review_document
from enthesis.report.plots import PLOTS
from enthesis.report.render.json import results
from enthesis.report.render.svg import draw
from small_tables import edit, read

QUESTION = "asas40-r-naive-class"
TRIAL = f'[[trial]]\nnct_id = "NCT1"\nquestion = "{QUESTION}"\narms = [["placebo", 60], ["JAKi", 60]]\n'


@pytest.fixture(scope="module")
def run():
    return run_review("axspa", only=[QUESTION], parts=("conclusions", "forecast"))


@pytest.fixture(scope="module")
def value(run):
    return run.parts["forecast"]


def test_every_registered_trial_is_answered(run, value):
    told = {t.nct_id for t in value.trials} | {n or t for n, t, _ in value.skipped}
    ongoing = run.evidence.ongoing
    asked = {t.nct_id for t in read_settings(run.review.folder / "forecast.toml").trial}
    assert told | asked >= {row.nct_id or row.title for row in ongoing.itertuples()}
    assert all(why and "not described" not in why for _, _, why in value.skipped)


def test_every_conclusion_on_the_question_is_forecast(run, value):
    mine = [r.conclusion.id for r in run.parts["conclusions"].results if r.conclusion.question == QUESTION]
    assert [m.conclusion for m in value.trials[0].moved] == mine


def test_the_states_after_a_trial_are_probabilities_and_changing_is_leaving_the_state(value):
    for m in (m for t in value.trials for m in t.moved):
        assert m.holds + m.open + m.refuted == pytest.approx(1)
        assert m.flips == pytest.approx(1 - getattr(m, m.state))
        assert 0 <= m.lower <= m.median <= m.upper <= 1


def test_a_conclusion_now_is_the_mean_of_what_it_will_be(run):
    from enthesis.assess.expressions import parse
    from enthesis.assess.preposterior import PlannedTrial, foresee
    from enthesis.assess.quantities import draws_of, fit_scope

    fit = run.answers[0].fit
    seen = foresee(fit, PlannedTrial(arms=(("placebo", 129), ("JAKi", 129))))
    concluded = {r.conclusion.id: r for r in run.parts["conclusions"].results}
    d, _ = draws_of(fit)
    ratio = np.exp(d[:, fit.network.index("JAKi")] - d[:, fit.network.index("TNFi")])
    after = seen.weights @ ((ratio > 0.8) & (ratio < 1.25))
    now = parse(concluded["C3"].conclusion.probability).evaluate(fit_scope(fit, 0.2))
    assert after.mean() == pytest.approx(float(now), abs=0.02)
    mine = next(m for m in run.parts["forecast"].trials[0].moved if m.conclusion == "C3")
    assert (mine.lower, mine.upper) == pytest.approx(tuple(np.quantile(after, (0.05, 0.95))))


def test_the_report_has_the_chapter_with_its_figures(run):
    chapter = next(s for s in review_document(run).sections if s.id == "forecast")
    assert [s.title for s in chapter.sections] == ["Trials under way", "A new trial"]


def test_the_results_hold_the_forecasts(run):
    told = results(run)["forecast"]
    assert told["trials"][0]["arms"][0] == {"treatment": "placebo", "n": 129}
    assert told["trials"][0]["moved"][0]["conclusion"] == "C1"


@pytest.mark.parametrize("n", [2, 60])
@pytest.mark.parametrize("name", ["forecast", "value_map"])
def test_the_figures_draw_for_few_and_for_many(name, n):
    import pandas as pd

    rng = np.random.default_rng(1)
    if name == "forecast":
        table = pd.DataFrame({"trial": [f"T{i}" for i in range(n)], "conclusion": "C1", "probability": 0.5,
                              "lower": 0.3, "median": 0.5, "upper": 0.7, "threshold": 0.9,
                              "flips": rng.random(n)})  # fmt: skip
    else:
        pairs = [(a, b) for a in range(n) for b in range(a)]
        table = pd.DataFrame({"treatment": [f"t{a}" for a, _ in pairs], "comparator": [f"t{b}" for _, b in pairs],
                              "value": rng.random(len(pairs)), "decides": rng.random(len(pairs))})  # fmt: skip
    assert draw(lambda: PLOTS[name].chart(table)).startswith("<svg")
    assert "$schema" in PLOTS[name].chart(table).to_dict()
    assert "%" in PLOTS[name].alt_text(table)


# Settings


@pytest.mark.parametrize(("text", "sentence"), [
    ('[[trial]]\nnct_id = "N"\nquestion = "q"\narms = [["placebo", 60]]', "at least 2 items"),
    ('[[trial]]\nnct_id = "N"\nquestion = "q"\narms = [["a", 60], ["b", 1]]', "greater than or equal to 2"),
    ("[[trials]]\n", "trials"),
    ('[value]\nquestion = "q"\npatients = 1', "greater than or equal to 4"),
])  # fmt: skip
def test_settings_that_are_wrong_are_refused_by_key(tmp_path, text, sentence):
    (tmp_path / "forecast.toml").write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_settings(tmp_path / "forecast.toml")


# Kept and scored


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A store of the axSpA evidence with a kept forecast, and the trial reported after it."""
    folder = tmp_path_factory.mktemp("review")
    shutil.copytree(Review.load("axspa").folder, folder / "axspa", ignore=shutil.ignore_patterns("mechanism"))
    (folder / "axspa" / "forecast.toml").write_text(TRIAL)
    place = folder / "s.sqlite"
    tables = folder / "axspa" / "evidence"
    review = Review.load(folder / "axspa")
    asked = {"only": [QUESTION], "parts": ("conclusions", "forecast")}
    with Store.open(place) as store:
        load_tables(store, tables)
        before = run_review(review, evidence=store.evidence(), **asked)
        for cells in rows_to_keep(before.parts["forecast"], before, "2026-01-31"):
            store.append("forecasts", cells, extractor="test")
        waiting = scores(run_review(review, evidence=store.evidence(), **asked))
        for name, new in new_trial(tables).items():
            edit(tables / f"{name}.csv", lambda rows, new=new: [*rows, *new])
        load_tables(store, tables)
        after = run_review(review, evidence=store.evidence(), **asked)
    return before, waiting, after


def new_trial(tables):
    """A trial of JAKi against placebo: 12 and 30 of 60 reach ASAS40."""
    blank = {name: dict.fromkeys(read(tables / f"{name}.csv")[0], "") for name in ("studies", "arms", "outcomes")}
    study = blank["studies"] | {"study_id": "NEW", "nct_id": "NCT1", "design": "rct", "population": "r-axSpA",
                                "prior_biologic": "naive", "n_randomised": "120", "placebo_until_week": "14",
                                "blinding": "double", "source_id": "deodhar2021_ard", "year": "2026",
                                "status": "completed"}  # fmt: skip
    arms, outcomes = [], []
    for arm, drug, kind, events in (("placebo", "placebo", "placebo", "12"), ("t", "tofacitinib", "JAKi", "30")):
        dose = {"dose": "5", "dose_unit": "mg", "frequency": "BID", "route": "oral"} if drug != "placebo" else {}
        arms.append(blank["arms"] | {"study_id": "NEW", "arm_id": arm, "treatment": drug, "drug_class": kind,
                                     "n_randomised": "60", "source_id": "deodhar2021_ard"} | dose)  # fmt: skip
        outcomes.append(blank["outcomes"] | {
            "study_id": "NEW", "arm_id": arm, "subgroup": "all", "outcome": "ASAS40", "week": "14", "measure": "binary",
            "events": events, "n": "60", "events_derived": "no", "estimator": "NRI", "source_id": "deodhar2021_ard",
            "locator": "made up for a test", "check": "one-source", "preferred": "yes"})  # fmt: skip
    return {"studies": [study], "arms": arms, "outcomes": outcomes}


def test_a_forecast_whose_trial_has_not_reported_waits(reported):
    _, waiting, _ = reported
    assert waiting
    assert all(s["why_not"] == "the trial is not in the network yet" for s in waiting)


def test_a_reported_trial_is_set_against_what_was_expected(reported):
    before, _, after = reported
    expected = before.parts["forecast"].trials[0]
    for s in scores(after):
        observed = np.log(30 / 30 / (12 / 48))
        assert s["study"] == "NEW"
        assert s["observed"] == pytest.approx(observed)
        assert s["z"] == pytest.approx((observed - expected.scale_mean[0]) / expected.scale_sd[0])
        assert s["crps"] == pytest.approx(crps(expected.scale_mean[0], expected.scale_sd[0], observed))


def test_a_state_that_came_about_is_scored_by_brier(reported):
    before, _, after = reported
    now = {r.conclusion.id: r.state for r in after.parts["conclusions"].results}
    moved = {m.conclusion: m for m in before.parts["forecast"].trials[0].moved}
    for s in scores(after):
        p = {k: getattr(moved[s["conclusion"]], k) for k in ("holds", "open", "refuted")}
        assert s["brier"] == pytest.approx(sum((p[k] - (k == now[s["conclusion"]])) ** 2 for k in p))


def test_the_score_of_a_normal_forecast_is_the_integral_it_stands_for():
    for mean, sd, y in ((0.2, 0.5, 0.9), (-1.0, 2.0, 0.0)):
        forecast = norm(mean, sd)
        below = quad(lambda x, f=forecast: f.cdf(x) ** 2, -30, y)[0]
        above = quad(lambda x, f=forecast: f.sf(x) ** 2, y, 30)[0]
        assert crps(mean, sd, y) == pytest.approx(below + above, rel=1e-6)


# The command


@pytest.fixture
def command(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main.run([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return run


def test_forecasts_are_kept_once(tmp_path, command):
    place = tmp_path / "s.sqlite"
    command("evidence", "load", "--store", place)
    first = json.loads(command("forecast", "axspa", "--store", place, "--save", "--json")[1])
    again = json.loads(command("forecast", "axspa", "--store", place, "--save", "--json")[1])
    assert first["kept"]["stored"] > 0
    assert again["kept"] == {"stored": 0, "unchanged": first["kept"]["stored"]}
    code, out, _ = command("forecast", "axspa", "--store", place, "--score")
    assert code == 0
    assert "the trial is not in the network yet" in out


def test_keeping_needs_a_store(command):
    code, _, err = command("forecast", "axspa", "--save")
    assert code == 2
    assert "--store" in err


def test_a_review_without_forecasts_says_so(tmp_path, command):
    shutil.copytree(Review.load("axspa").folder, tmp_path / "r", ignore=shutil.ignore_patterns("mechanism"))
    (tmp_path / "r" / "forecast.toml").unlink()
    code, _, err = command("forecast", tmp_path / "r")
    assert code == 2
    assert "no forecast.toml" in err
