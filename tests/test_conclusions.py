"""Conclusions as code: what the file may say, what a run makes of it, and what is told."""

from types import SimpleNamespace

import numpy as np
import pytest

from enthesis.assess.conclusions import Earlier, asked, conclude, read_conclusions, state_of
from enthesis.errors import DataError
from enthesis.estimands import probability
from enthesis.evidence import Store
from enthesis.living.review import Review, run_review
from enthesis.report.conclusions import messages, record, sections
from enthesis.report.render.json import results, schema
from small_review import FILES, filled, review_folder

GOOD = """
[[conclusion]]
id = "K"
statement = "works"
question = "r"
probability = "P(OR(drug, placebo) > 1)"
threshold = 0.95
"""


def one(tmp_path, text=GOOD, **changed):
    for key, value in changed.items():
        lines = [line for line in text.splitlines() if not line.startswith(f"{key} =")]
        text = "\n".join([*lines, f"{key} = {value}"])
    path = tmp_path / "conclusions.toml"
    path.write_text(text, encoding="utf-8")
    return read_conclusions(path)[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("review")
    with Store.open(filled(folder / "s.sqlite")) as store:
        return run_review(Review.load(review_folder(folder / "review")), evidence=store.evidence())


def test_the_probability_is_that_of_the_posterior(run, tmp_path):
    found = conclude(one(tmp_path), run, {})
    assert found.probability == pytest.approx(probability(run.answer("r").fit, "drug", "placebo"), abs=1e-12)
    assert found.state == "holds"
    assert found.studies == ("R-1", "R-2", "R-3")


def test_a_gain_stands_on_the_pooled_risk_with_the_reference(run, tmp_path):
    found = conclude(one(tmp_path, probability='"P(gain(drug, placebo) > 0.1)"'), run, {})
    fit, risk = run.answer("r").fit, (20 + 22 + 25) / 300
    d = fit.d[:, fit.network.index("drug")] - fit.d[:, fit.network.index("placebo")]
    gain = 1 / (1 + np.exp(-(np.log(risk / (1 - risk)) + d))) - risk
    assert found.probability == pytest.approx(float(fit.weights @ (gain > 0.1)), abs=1e-12)
    assert found.shows == "gain(drug, placebo)"
    assert found.lower < found.estimate < found.upper


@pytest.mark.parametrize(
    ("changed", "column", "said"),
    [
        ({"threshold": "0.4"}, "threshold", "greater than 0.5"),
        ({"threshold": "1.0"}, "threshold", "less than 1"),
        ({"probability": '"OR(drug, placebo) > 1"'}, "probability", "asks for no probability"),
        ({"probability": '"P(OR(drug placebo) > 1)"'}, "probability", "comma or a closing bracket"),
        ({"id": '"no spaces"'}, "id", "is not an id"),
        ({"question": '""'}, "question", "needs either"),
        ({"colour": '"red"'}, "colour", "is not a key of a conclusion"),
    ],
)
def test_a_wrong_file_is_refused_by_key(tmp_path, changed, column, said):
    with pytest.raises(DataError, match=said) as stop:
        one(tmp_path, **changed)
    assert stop.value.column == column


def test_two_conclusions_of_one_id_are_refused(tmp_path):
    with pytest.raises(DataError, match="used twice"):
        one(tmp_path, GOOD + GOOD)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"question": '"nowhere"'}, "question 'nowhere' is not known"),
        ({"probability": '"P(OR(drg, placebo) > 1)"'}, "Did you mean 'drug'"),
        ({"probability": '"P(RR(drug, placebo) > 1)"'}, "the fit is on OR"),
        ({"probability": '"P(OR(drug, placebo) > 1) + 3"'}, "is not a probability"),
    ],
)
def test_what_cannot_be_computed_is_unknown_and_says_why(run, tmp_path, changed, said):
    found = conclude(one(tmp_path, **changed), run, {})
    assert found.state == "unknown"
    assert said in found.problem


@pytest.mark.parametrize(("p", "state"), [(0.95, "holds"), (0.949, "open"), (0.051, "open"), (0.05, "refuted")])
def test_a_state_follows_from_the_threshold_on_both_sides(p, state):
    assert state_of(p, 0.95) == state


def earlier(conclusion, state, **more):
    return Earlier(probability=0.5, state=state, run=3, date="2026-01-01", **{"asked": asked(conclusion), **more})


def test_a_flip_is_a_change_of_state_of_the_same_statement(run, tmp_path):
    c = one(tmp_path)
    assert conclude(c, run, {}, earlier(c, "open")).flipped
    assert not conclude(c, run, {}, earlier(c, "holds")).flipped
    assert not conclude(c, run, {}, earlier(c, "open", asked="something else")).flipped


def test_other_words_ask_the_same(tmp_path):
    assert asked(one(tmp_path)) == asked(one(tmp_path, statement='"does work"'))
    assert asked(one(tmp_path)) != asked(one(tmp_path, threshold="0.9"))


def test_near_is_a_matter_of_odds(run, tmp_path):
    p = conclude(one(tmp_path), run, {}).probability
    odds = p / (1 - p) if p < 1 else 1e9
    close = odds * 1.2 / (1 + odds * 1.2)
    if close < 1:
        assert conclude(one(tmp_path, threshold=repr(min(close, 0.9999999))), run, {}).near
    assert not conclude(one(tmp_path, threshold="0.6"), run, {}).near


def safety(own_ratio=None):
    rng = np.random.default_rng(1)
    draws = np.exp(rng.normal(0.5, 0.3, 4000))
    return SimpleNamespace(results=[SimpleNamespace(
        outcome="HZ", name="herpes zoster", comparison=("JAKi", "TNFi"), stratum="average", stratum_label="everybody",
        rate_ratio=SimpleNamespace(draws=draws), borrowed={"ess_borrowed": 6.0}, own_events={"JAKi": 2.0, "TNFi": 0.0},
        own_ratio=own_ratio, sources=(SimpleNamespace(study="ORAL", left_out=""),))])  # fmt: skip


SAFETY = """
[[conclusion]]
id = "S"
statement = "more zoster"
outcome = "HZ"
stratum = "average"
probability = "P(RR(JAKi, TNFi) > 1)"
threshold = 0.9
"""


def test_long_term_safety_is_read_from_its_part(run, tmp_path):
    given = safety()
    found = conclude(one(tmp_path, SAFETY), run, {"safety": given})
    assert found.probability == pytest.approx((given.results[0].rate_ratio.draws > 1).mean())
    assert (found.population, found.studies) == ("everybody", ("ORAL",))


def test_a_turned_rate_ratio_is_the_inverse(run, tmp_path):
    other = one(tmp_path, SAFETY, probability='"P(RR(TNFi, JAKi) < 1)"')
    found = conclude(other, run, {"safety": safety()})
    assert found.probability == conclude(one(tmp_path, SAFETY), run, {"safety": safety()}).probability


@pytest.mark.parametrize(("own", "share"), [(None, 1.0), ((1.0, 0.5, 2.0), 0.75)])
def test_what_is_borrowed_is_told_as_a_share_of_events(run, tmp_path, own, share):
    assert conclude(one(tmp_path, SAFETY), run, {"safety": safety(own)}).borrowed == share


def test_without_the_part_long_term_safety_is_unknown(run, tmp_path):
    assert "not computed in this run" in conclude(one(tmp_path, SAFETY), run, {}).problem


def test_the_report_and_the_json_hold_every_conclusion(run):
    import jsonschema

    value = run.parts["conclusions"]
    (section,) = sections(value, run, ())
    (table,) = [b for b in section.blocks if hasattr(b, "rows")]
    assert [row.cells[0].text for row in table.rows] == [
        "K1. drug works in radiographic disease", "K2. drug works in non-radiographic disease",
    ]  # fmt: skip
    told = results(run)
    assert [c["id"] for c in told["conclusions"]] == ["K1", "K2"]
    jsonschema.validate(told["conclusions"], schema()["properties"]["conclusions"])
    (message,) = messages(value, run, ())
    assert message[0].text.startswith("Of 2 conclusions kept by this review, 1 hold")


def test_the_record_of_a_conclusion_is_plain(run):
    told = record(run.parts["conclusions"].results[0])
    assert told["expression"] == "P(OR(drug, placebo) > 1)"
    assert 0 < told["mcse"] < 0.05


def test_the_bundled_conclusions_ask_questions_that_the_review_has():
    review = Review.load("axspa")
    for c in read_conclusions(review.folder / "conclusions.toml"):
        if c.question:
            review.question(c.question)
        else:
            assert (review.folder / "safety.toml").is_file()


def test_a_review_without_the_file_has_no_conclusions(tmp_path):
    folder = review_folder(tmp_path / "review")
    (folder / "conclusions.toml").unlink()
    with Store.open(filled(tmp_path / "s.sqlite")) as store:
        found = run_review(Review.load(folder), evidence=store.evidence(), roles=("twin",))
    assert found.parts == {}
    assert "conclusions" not in results(found)


def test_a_frequentist_fit_is_read_through_its_normal_distribution(tmp_path):
    folder = review_folder(tmp_path / "review", conclusions=FILES["conclusions.toml"])
    with Store.open(filled(tmp_path / "s.sqlite")) as store:
        found = run_review(Review.load(folder), evidence=store.evidence(), roles=("twin",))
    k = found.parts["conclusions"].result("K2")
    assert k.probability == pytest.approx(probability(found.answer("nr").fit, "drug", "placebo"), abs=4 * k.mcse)
