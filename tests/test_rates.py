"""Rates: exact intervals, random effects without a correction, and what is pooled with what."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from enthesis.assess.rate_ratios import rate_ratio, ratios_against
from enthesis.assess.rate_table import read_rates
from enthesis.assess.rates import RateRow, cumulative_risk, hazard_by_period, one_kind, pool_rates, rate_rows
from enthesis.cli.main import run
from enthesis.errors import DataError, UsageError
from enthesis.evidence import bundled_evidence
from enthesis.inference.across_studies import AcrossStudies
from enthesis.inference.rates import RATE_MODELS, pooled_rate, rate_interval, rate_ratio_interval
from enthesis.models.one_parameter import EventCounts
from enthesis.models.priors import HalfNormal

#: Niel-Weise et al. 2008, control and treated arms: events and catheter days / 1000
TREATED = ([7, 8, 3, 6, 1, 1, 17, 3, 2], [1.344, 1.6, 12.012, 1.536, 0.37, 0.729, 6.76, 1.107, 0.32])
CONTROL = ([11, 8, 14, 10, 1, 8, 15, 7, 3], [1.988, 1.461, 10.962, 1.503, 0.483, 0.913, 6.84, 1.015, 0.44])
#: counts with studies without events
ZEROS = ([0, 0, 15, 2, 0, 1, 9], [3.086, 1.205, 7.001, 4.122, 0.903, 1.5, 12.011])


def rows(*counts, kind="events", treatment="upa", **more):
    return [RateRow(id=f"{treatment}{i}", study_id=f"{treatment}-{i}", treatment=treatment, outcome="HZ", rate_of=kind,
                    events=float(r), exposure=float(E), **more) for i, (r, E) in enumerate(counts)]  # fmt: skip


# one rate


@pytest.mark.parametrize(
    ("events", "lower", "upper"),
    [  # R 4.2.2, poisson.test(events, 308.6)$conf.int
        (0, 0.0, 0.0119535951203),
        (1, 8.20408554254e-05, 0.0180545800095),
        (5, 0.00526081137433, 0.0378105381702),
        (17, 0.0320904940687, 0.0882004109394),
        (100, 0.263655188759, 0.394124412808),
    ],
)
def test_the_exact_interval_is_that_of_poisson_test(events, lower, upper):
    assert rate_interval(events, 308.6) == pytest.approx((lower, upper), rel=1e-10)


def test_the_exact_interval_covers_at_least_its_level_and_mid_p_its_level_on_average():
    counts = np.arange(60)
    limits = {m: np.array([rate_interval(r, 1.0, method=m) for r in counts]) for m in ("exact", "mid-p")}
    rates = np.linspace(0.5, 15, 59)
    cover = {
        m: [stats.poisson.pmf(counts[(low <= rate) & (rate <= high)], rate).sum() for rate in rates]
        for m, (low, high) in ((m, x.T) for m, x in limits.items())
    }
    assert min(cover["exact"]) >= 0.95
    assert abs(np.mean(cover["mid-p"]) - 0.95) < 0.01 < np.mean(cover["exact"]) - 0.95


@pytest.mark.parametrize(
    ("counts", "expected"),
    [  # R 4.2.2, poisson.test(c(a, b), c(E, F)): estimate, conf.int
        ((10, 1000, 5, 1000), (2.0, 0.622859554349, 7.457295910857)),
        ((0, 308.6, 17, 1201.1), (0.0, 0.0, 0.943191575399)),
        ((5, 308.6, 0, 400), (math.inf, 1.18775872627, math.inf)),
        ((3, 250, 8, 412.2), (0.6183, 0.105648939882, 2.576103433471)),
    ],
)
def test_the_interval_of_a_ratio_is_that_of_poisson_test(counts, expected):
    assert rate_ratio_interval(*counts) == pytest.approx(expected, rel=1e-9)


def test_no_event_on_either_side_says_nothing_about_the_ratio():
    estimate, lower, upper = rate_ratio_interval(0, 10, 0, 20)
    assert (math.isnan(estimate), lower, upper) == (True, 0.0, math.inf)


@pytest.mark.parametrize(("events", "time"), [(-1, 10), (1.5, 10), (math.nan, 10), (1, 0), (1, math.inf)])
def test_what_is_no_count_or_no_time_is_refused(events, time):
    with pytest.raises(DataError):
        rate_interval(events, time)


# several studies


@pytest.mark.parametrize(
    ("data", "log_rate", "se", "tau2"),
    [  # metafor 3.8-1, rma.glmm(measure = "IRLN", nAGQ = 21)
        (TREATED, 0.849411797620, 0.330241683171, 0.654164516871),
        (CONTROL, 1.400692714595, 0.231015560698, 0.316531112415),
        (ZEROS, -0.602424727615, 0.522227619477, 0.605189866214),
    ],
)
def test_random_effects_agree_with_metafor(data, log_rate, se, tau2):
    found = pooled_rate(*data, model="poisson-normal")
    assert (found.log_estimate, found.se, found.tau**2) == pytest.approx((log_rate, se, tau2), abs=3e-5)


@pytest.mark.parametrize(
    ("data", "log_rate", "alpha", "log_likelihood"),
    [  # MASS 7.3-58.2, glm.nb(x ~ 1 + offset(log(t))): coefficient, 1 / theta, logLik
        (TREATED, 1.119598253870, 0.478378000912, -23.358706673728),
        (CONTROL, 1.552693961919, 0.271805226806, -26.224718554055),
        (ZEROS, -0.326299992517, 0.721320623640, -13.355091875062),
    ],
)
def test_negative_binomial_rates_agree_with_glm_nb(data, log_rate, alpha, log_likelihood):
    found = pooled_rate(*data, model="negative-binomial")
    told = (found.log_estimate, found.tau**2, found.log_likelihood)
    assert told == pytest.approx((log_rate, alpha, log_likelihood), abs=2e-6)


def test_one_rate_for_all_is_the_rate_of_the_total():
    found = pooled_rate(*CONTROL, model="common")
    assert (found.lower, found.upper) == rate_interval(77, sum(CONTROL[1]))


@pytest.mark.parametrize("model", RATE_MODELS)
def test_a_study_without_events_lowers_the_pooled_rate(model):
    r, E = CONTROL
    assert pooled_rate([*r, 0], [*E, 2.0], model=model).estimate < pooled_rate(r, E, model=model).estimate


@pytest.mark.parametrize("model", RATE_MODELS)
def test_no_event_in_any_study_gives_the_exact_upper_limit_of_the_total(model):
    found = pooled_rate([0, 0, 0], [100, 50, 150], model=model)
    assert (found.estimate, found.upper) == (0.0, rate_interval(0, 300)[1])


def test_a_new_study_of_the_negative_binomial_has_the_error_of_the_mean_too():
    found = pooled_rate([5, 0, 12, 30], [300, 150, 700, 250], model="negative-binomial")
    rng, alpha = np.random.default_rng(4), found.tau**2
    means = np.exp(rng.normal(found.log_estimate, found.se, 200_000))
    simulated = means * rng.gamma(1 / alpha, alpha, len(means))
    low, high = found.predicted
    assert np.mean((simulated >= low) & (simulated <= high)) == pytest.approx(0.95, abs=0.003)
    assert high > 1.2 * found.estimate * stats.gamma.ppf(0.975, 1 / alpha, scale=alpha)


@pytest.mark.parametrize("model", RATE_MODELS)
def test_the_unit_of_time_only_scales_the_rate(model):
    r, E = CONTROL
    per_unit, per_day = pooled_rate(r, E, model=model), pooled_rate(r, [1000 * x for x in E], model=model)
    assert per_unit.estimate == pytest.approx(1000 * per_day.estimate, rel=1e-6)


# across studies


def test_equal_baselines_give_the_binomial_of_the_total():
    both = AcrossStudies(treated=((2, 100.0), (3, 208.6)), comparator=((17, 1201.1),), spread=None)
    exact = EventCounts(events=5, exposure=308.6, comparator_events=17, comparator_exposure=1201.1)
    theta = np.array([-2.0, 0.0, 0.7, 2.0])
    gaps = [x.log_likelihood(theta) - x.log_likelihood(0.0) for x in (both, exact)]
    assert gaps[0] == pytest.approx(gaps[1], abs=1e-5)


def test_exchangeable_baselines_agree_with_brute_force_integration():
    treated, comparator, sd = ((4, 2.0),), ((6, 5.0), (1, 3.0)), 0.6
    like = AcrossStudies(treated=treated, comparator=comparator, spread=HalfNormal(1e-6))
    object.__setattr__(like, "_spreads", lambda: np.array([sd]))
    u, w = np.polynomial.hermite_e.hermegauss(60)
    m = np.linspace(-8, 6, 4001)

    def margin(r, E, x):
        return (stats.poisson.pmf(r, E * np.exp(x[:, None] + sd * u)) * w).sum(1)

    def brute(theta):
        inner = np.prod([margin(r, E, m + theta) for r, E in treated], axis=0)
        inner *= np.prod([margin(r, E, m) for r, E in comparator], axis=0)
        return math.log(inner.sum())

    theta = np.array([-1.0, 0.5, 2.0])
    found = like.log_likelihood(theta) - like.log_likelihood(0.0)
    assert found == pytest.approx([brute(t) - brute(0.0) for t in theta], abs=2e-3)


def test_an_external_baseline_is_the_exact_ratio_and_says_what_it_assumes():
    found = rate_ratio(
        rows((5, 308.6)), rows((17, 1201.1), treatment="ada"), names=("upa", "ada"), baselines="external"
    )
    assert (found.estimate, found.lower, found.upper) == rate_ratio_interval(5, 308.6, 17, 1201.1)
    assert "would have applied to the patients on upa unchanged" in found.sentence


def test_a_ratio_without_events_on_one_side_stays_wide_without_a_correction():
    found = rate_ratio(rows((0, 308.6)), rows((17, 1201.1), treatment="ada"))
    assert 0.0 < found.lower < 0.02
    assert 0.9 < found.upper < 3


def test_a_group_is_compared_with_the_one_that_is_named():
    groups = pool_rates([*rows((5, 308.6)), *rows((17, 1201.1), treatment="ada")])
    assert [(r.treatment, r.comparator) for r in ratios_against(groups, "ada")] == [("upa", "ada")]
    with pytest.raises(UsageError, match="group"):
        ratios_against(groups, "etanercept")


# what is pooled with what


def test_two_kinds_of_rates_in_a_group_are_refused_with_their_rows():
    with pytest.raises(DataError, match=r"x0 .*count patients|upa0 .*count events"):
        pool_rates([*rows((5, 308.6), (2, 90)), *rows((8, 412.2), treatment="x", kind="patients")], by=["outcome"])


def test_a_row_that_does_not_say_is_refused_and_left_out_only_when_a_kind_is_asked_for():
    mixed = [*rows((5, 308.6)), *rows((8, 412.2), treatment="x", kind="unstated")]
    with pytest.raises(DataError, match=r"x0 \(x-0, \) does not say"):
        one_kind(mixed)
    kind, kept, left = one_kind(mixed, "events")
    assert (kind, [r.id for r in kept], left[0][1]) == ("events", ["upa0"], "It does not say what it counts.")


def test_arms_of_one_study_are_one_study():
    two_arms = [
        RateRow(id=f"R{i}", study_id="A", outcome="HZ", rate_of="events", events=2, exposure=100) for i in (1, 2)
    ]
    (group,) = pool_rates(two_arms, by=["outcome"])
    assert (group.pooled.k, group.pooled.events, group.pooled.exposure) == (1, 4, 200)


def test_bundled_rates_of_both_kinds_are_refused_together_and_pooled_apart():
    own = [r for r in rate_rows(bundled_evidence(), "SERINF") if r.population in ("r-axSpA", "nr-axSpA") and r.counted]
    tnfi = [r for r in own if r.drug_class == "TNFi"]
    with pytest.raises(DataError, match="ABILITY-1-EXT"):
        pool_rates(tnfi, by=["drug_class"])
    (group,) = pool_rates(tnfi, by=["drug_class"], rate_of="patients")
    assert (group.pooled.events, group.pooled.exposure) == (8, 412.2)


# over years


def test_a_constant_rate_over_years_is_one_minus_its_exponential():
    found = cumulative_risk((0.02, 0.01, 0.03), 5)
    assert (found.estimate, found.upper) == pytest.approx((1 - math.exp(-0.1), 1 - math.exp(-0.15)))


def test_rates_of_events_give_expected_numbers_that_may_pass_one():
    found = cumulative_risk((2.427, 2.256, 2.607), 1, rate_of="events")
    assert (found.what, found.estimate) == ("events per patient", 2.427)


def test_equal_hazards_in_all_periods_are_one_hazard():
    periods = hazard_by_period([(1, 4, 200), (2, 2, 100), (5, 6, 300)])
    assert cumulative_risk(periods, 5).estimate == pytest.approx(cumulative_risk((0.02, 0, 1), 5).estimate)


def test_a_hazard_beyond_its_last_period_is_carried_on_and_says_so():
    found = cumulative_risk(hazard_by_period([(1, 8, 200), (2, 2, 200)]), 5)
    assert found.estimate == pytest.approx(1 - math.exp(-(0.04 + 4 * 0.01)))
    assert "carried on from year 2 to 5" in found.assumption


def test_the_interval_over_periods_covers_its_level_and_not_nearly_always():
    rng, rates, times = np.random.default_rng(2), np.array([0.04, 0.015, 0.02]), np.array([200.0, 400.0, 300.0])
    true = float(-np.expm1(-rates @ [1, 2, 3]))
    found = [cumulative_risk(hazard_by_period(zip((1, 3, 6), counts, times, strict=True)), 6)
             for counts in rng.poisson(rates * times, (600, 3))]  # fmt: skip
    assert 0.94 < np.mean([risk.lower <= true <= risk.upper for risk in found]) < 0.99


def test_periods_that_do_not_follow_each_other_are_refused():
    with pytest.raises(DataError, match="end later"):
        hazard_by_period([(2, 1, 10), (1, 1, 10)])


# tables and the command


def test_a_table_of_single_arms_is_read_without_a_treatment():
    found = read_rates([{"study": "A", "events": 3, "time_at_risk": 210.5, "rate_of": "patients"}])
    assert [(r.study_id, r.treatment, r.rate_of) for r in found.rows] == [("A", "all", "patients")]


def test_a_table_that_does_not_say_what_it_counts_is_told_so():
    assert "cannot say which" in read_rates([{"study": "A", "events": 3, "time_at_risk": 210.5}]).notes[-1]


def test_an_unknown_word_in_rate_of_is_named_with_its_cell():
    with pytest.raises(DataError, match="row 2, column 'rate_of', value 'persons'"):
        read_rates([{"study": "A", "events": 3, "time_at_risk": 210.5, "rate_of": "persons"}])


def written(tmp_path, text):
    path = tmp_path / "rates.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def called(*arguments):
    with pytest.raises(SystemExit) as stop:
        run(list(arguments))
    return stop.value.code


def test_the_command_pools_compares_and_counts_per_thousand(tmp_path, capsys):
    table = written(
        tmp_path, "study,treatment,events,time_at_risk,rate_of\nA,upa,5,308.6,events\nB,ada,17,1201.1,events\n"
    )
    assert called("rates", table, "--comparator", "ada", "--years", "1", "--json", "-") == 0
    told = json.loads(capsys.readouterr().out)
    assert [g["events"] for g in told["groups"]] == [5, 17]
    assert told["groups"][0]["per_1000_over_1_years"] == pytest.approx(1000 * 5 / 308.6)
    assert told["rate_ratios"][0]["comparator"] == "ada"


def test_the_command_refuses_mixed_kinds_in_a_sentence(tmp_path, capsys):
    table = written(
        tmp_path, "study,treatment,events,time_at_risk,rate_of\nA,upa,5,308.6,events\nB,upa,8,90,patients\n"
    )
    assert called("rates", table) == 3
    assert "are never pooled" in capsys.readouterr().err


def test_the_command_adds_up_the_hazards_of_periods(tmp_path, capsys):
    text = "study,events,time_at_risk,rate_of,period_end\nA,8,200,patients,1\nA,6,400,patients,5\n"
    assert called("rates", written(tmp_path, text), "--years", "5", "--json", "-") == 0
    told = json.loads(capsys.readouterr().out)
    assert [g["period_end"] for g in told["groups"]] == ["1.0", "5.0"]
    assert told["risks"][0]["estimate"] == pytest.approx(1 - math.exp(-(0.04 + 4 * 0.015)))
    assert "constant within each of 2 periods" in told["risks"][0]["assumption"]


def test_a_period_that_does_not_end_is_refused_with_its_cell(tmp_path):
    text = "study,events,time_at_risk,rate_of,period_end\nA,8,200,patients,0\n"
    with pytest.raises(DataError, match="row 2, column 'period_end', value '0'"):
        read_rates(written(tmp_path, text))


def test_an_arm_that_stands_twice_is_refused(tmp_path):
    text = "study,events,time_at_risk,rate_of\nA,8,200,patients\nB,1,90,patients\nA,8,200,patients\n"
    with pytest.raises(
        DataError, match="row 4, column 'study', value 'A': is the same arm with the same numbers as row 2"
    ):
        read_rates(written(tmp_path, text))
