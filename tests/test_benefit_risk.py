"""Partial values, additive value, net benefit, and the settings of a review."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import enthesis as en
from enthesis.assess.benefit_risk import Criterion, Measured, ValueFunction, net_benefit, resampled, smaa_table, weigh
from enthesis.assess.benefit_risk_part import Profile, compute, read_settings
from enthesis.assess.smaa import Preferences
from enthesis.errors import DataError, UsageError
from enthesis.evidence import bundled_folder
from enthesis.report.benefit_risk import record, sections

GAIN = Criterion(id="gain", title="response", value=ValueFunction.linear(worst=0.0, best=1.0))
HARM = Criterion(id="harm", title="harm", value=ValueFunction.linear(worst=0.2, best=0.0), harm=True)


@pytest.fixture
def measured():
    rng = np.random.default_rng(1)
    gain = np.stack([np.full(4000, 0.2), rng.beta(40, 60, 4000), rng.beta(60, 40, 4000)], axis=1)
    harm = np.stack([np.full(4000, 0.02), rng.beta(4, 96, 4000), rng.beta(12, 88, 4000)], axis=1)
    return Measured(alternatives=("placebo", "mild", "strong"), criteria=(GAIN, HARM),
                    draws=np.stack([gain, harm], axis=-1), reference="placebo")  # fmt: skip


@pytest.mark.parametrize(
    ("x", "value"), [(50, 1.0), (75, 0.8), (82.5, 0.65), (90, 0.5), (95, 0.25), (100, 0.0), (110, -0.5), (40, 1.08)]
)
def test_a_piecewise_value_function_is_linear_between_and_beyond_its_points(x, value):
    function = ValueFunction(points=(50, 75, 90, 100), values=(1.0, 0.8, 0.5, 0.0))
    assert function(np.array([x]))[0] == pytest.approx(value)


def test_the_points_may_be_given_from_the_largest_down():
    up = ValueFunction(points=(0.0, 0.5, 1.0), values=(0.0, 0.8, 1.0))
    down = ValueFunction(points=(1.0, 0.5, 0.0), values=(1.0, 0.8, 0.0))
    x = np.linspace(-0.2, 1.2, 15)
    np.testing.assert_allclose(up(x), down(x))
    assert (down.worst, down.best) == (up.worst, up.best) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("points", "values"),
    [((1.0,), (1.0,)), ((0.0, 1.0, 0.5), (0.0, 0.5, 1.0)), ((0.0, 1.0), (0.2, 1.0)), ((0.0, 0.5, 1.0), (0.0, 1.2, 1.0)),
     ((0.0, 0.5, 1.0), (0.0, 1.0)), ((0.0, np.nan), (0.0, 1.0))],
)  # fmt: skip
def test_a_value_function_that_turns_or_does_not_span_is_refused(points, values):
    with pytest.raises(UsageError, match="value function"):
        ValueFunction(points=points, values=values)


def test_with_known_weights_the_value_is_their_weighted_sum(measured):
    result = weigh(measured, Preferences(weights=(3.0, 1.0)))
    expected = 0.75 * measured.draws[:, :, 0] + 0.25 * (1 - measured.draws[:, :, 1] / 0.2)
    np.testing.assert_allclose(result.mean, expected.mean(axis=0))


def test_who_cares_for_response_only_takes_the_strongest(measured):
    result = weigh(measured, Preferences(weights=(1.0, 0.0)))
    assert result.acceptability[2, 0] > 0.99


def test_who_cares_for_harm_only_takes_none(measured):
    result = weigh(measured, Preferences(weights=(0.0, 1.0)))
    assert result.acceptability[0, 0] > 0.8


def test_the_table_stands_the_most_acceptable_first(measured):
    table = smaa_table(weigh(measured), measured)
    assert (np.diff(table["rank_1"]) <= 0).all()


def test_net_benefit_is_gain_minus_exchanged_harm_against_the_reference(measured):
    table = net_benefit(measured, {"harm": 2.0}).set_index("alternative")
    d = measured.draws - measured.draws[:, [0], :]
    expected = 1000 * (d[:, 1, 0] - 2 * d[:, 1, 1])
    assert table.loc["mild", "net"] == pytest.approx(expected.mean())
    assert table.loc["mild", "p_positive"] == pytest.approx((expected > 0).mean())


def test_a_dearer_harm_never_raises_net_benefit(measured):
    cheap, dear = (net_benefit(measured, {"harm": x}).set_index("alternative")["net"] for x in (1.0, 5.0))
    assert (dear <= cheap).all()


def test_a_harm_without_an_exchange_rate_is_refused(measured):
    with pytest.raises(UsageError, match="harm have none"):
        net_benefit(measured, {})


def test_a_name_that_is_no_criterion_is_refused(measured):
    with pytest.raises(UsageError, match="Did you mean 'harm'"):
        net_benefit(measured, {"harn": 1.0})


def test_resampling_keeps_the_mean_of_weighted_draws():
    draws, weights = np.arange(5.0), np.array([0.1, 0.2, 0.3, 0.3, 0.1])
    again = resampled(draws, weights, 10_000, seed=1)
    assert again.mean() == pytest.approx(weights @ draws, abs=1e-3)


def answer(id, events, better):
    rows = [dict(study="1", treatment=t, events=r, n=200) for t, r in events.items()]
    network = en.from_table(rows, measure="OR", reference="placebo", better=better)
    fit = en.fit(network, en.Model(heterogeneity=en.Common()), engine="gls")
    return SimpleNamespace(question=SimpleNamespace(id=id, title=id), fit=fit, problem="",
                           baseline=SimpleNamespace(risk=events["placebo"] / 200))  # fmt: skip


@pytest.fixture
def run():
    answers = {"asas40": answer("asas40", {"placebo": 40, "a": 80, "b": 90}, "higher"),
               "sae": answer("sae", {"placebo": 6, "a": 8, "b": 12}, "lower"),
               "ae-disc": answer("ae-disc", {"placebo": 6, "a": 5}, "lower")}  # fmt: skip
    review = SimpleNamespace(questions=[SimpleNamespace(id=i) for i in answers])
    return SimpleNamespace(answer=answers.__getitem__, review=review)


@pytest.fixture
def settings(tmp_path):
    text = (bundled_folder().parent / "benefit-risk.toml").read_text(encoding="utf-8")
    path = tmp_path / "benefit-risk.toml"
    path.write_text("\n".join(line for line in text.splitlines() if not line.startswith("include")), encoding="utf-8")
    return path


def test_a_drug_that_a_criterion_does_not_hold_is_left_out_and_said(run, settings):
    found = compute(run, settings, {})
    assert set(found.measured.alternatives) == {"placebo", "a"}
    assert found.left_out == {"b": "not in the network of ae-disc"}


def test_risks_are_those_of_the_fit_at_the_risk_of_the_reference(run, settings):
    found = compute(run, settings, {}).measured
    table = en.absolute_effects(run.answer("asas40").fit, 0.2).set_index("treatment")
    drug, reference = (found.alternatives.index(name) for name in ("a", "placebo"))
    low, high = np.quantile(found.draws[:, drug, 0], [0.025, 0.975])
    assert (low, high) == pytest.approx(tuple(table.loc["a", ["risk_lower", "risk_upper"]]), abs=0.006)
    assert found.draws[:, reference, 0] == pytest.approx(0.2)


def test_other_preferences_weigh_the_same_measurements(run, settings):
    found = compute(run, settings, {})
    own = found.under(Profile(id="own", title="own", order=(("sae",), ("asas40", "ae-disc"))))
    assert own.words == "serious adverse event before ASAS40 response, stopping for an adverse event"


def test_the_chapter_and_the_record_hold_every_profile(run, settings):
    found = compute(run, settings, {})
    assert len(record(found)["profiles"]) == len(found.weighed) == len(sections(found, run, ())[0].sections)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (('question = "sae"', 'qestion = "sae"'), "Did you mean 'question'"),
        (("worst = 0.06", "worst = 0.0"), "must differ"),
        (('order = ["asas40"', 'order = ["asas4"'), "Did you mean 'asas40'"),
        (("asas40 = 60, ", ""), "name every criterion"),
        (("draws = 10000", "draws = 10"), "from 1,000"),
        (("sae = 5", "sea = 5"), "criterion 'sea'"),
        (("seed = 1", 'include = "JAKi"'), "list of classes"),
    ],
)
def test_a_mistake_in_the_settings_is_named_with_its_file(settings, change, match):
    text = settings.read_text(encoding="utf-8")
    assert change[0] in text
    settings.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(DataError, match=match):
        read_settings(settings)
