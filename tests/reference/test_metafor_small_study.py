"""Small-study effects and influence beside R's metafor 4.8-0 (metadat 1.6-0, R 4.2.2): regtest, ranktest, trimfill,
selmodel, tes, fsn, leave1out, cumul, influence on escalc(measure="RR") of dat.bcg, rma(method="REML").

Closed forms agree to 1e-8. Where tau² is estimated, metafor stops when it moves by less than about 1e-5, so numbers
agree to 1e-5 of their size; its selection models stop earlier still.
"""

from __future__ import annotations

import numpy as np
import pytest

import enthesis as en
from enthesis.assess.excess import excess_significance, fail_safe_n
from enthesis.assess.influence import influence
from enthesis.assess.leave_out import cumulative, leave_one_study_out
from enthesis.assess.selection import selection_model
from enthesis.assess.small_study import asymmetry_test
from enthesis.assess.trim_fill import trim_and_fill
from enthesis.network.measures import MD
from published import bcg, table

EXACT, ITERATIVE, SELECTION = 1e-8, 1e-5, 1e-3

#: regtest(): statistic, p, limit, its interval
REGTEST = {
    ("egger-random", "se"): (-0.803329112070106, 0.421784535672228, -0.5104318837895, -1.11822404489433,
                               0.0973602773153331),
    ("egger", "se"): (-1.40128200228933, 0.188706995081979, -0.19092864235982, -0.675332350276082, 0.293475065556442),
    ("egger-random", "variance"): (-0.426780950959785, 0.669538882350451, -0.655359467419082, -1.10726572022037,
                                   -0.203453214617795),
    ("egger-random", "inverse n"): (-1.25656275431467, 0.208912008768396, -0.597193259560845, -0.982541034300613,
                                    -0.211845484821076),
}  # fmt: skip
#: regtest(predictor="ni"): statistic, p
BY_SIZE = (2.04875356586371, 0.0404862183838956)
#: ranktest(): tau, p
RANKTEST = (0.0256410256410256, 0.952361907960866)
#: trimfill(): k0, se of k0, estimate, its standard error, tau²
TRIMFILL = {
    "L0": (1, 2.45279864318293, -0.657082800760365, 0.17852846695558, 0.33128803733658),
    "R0": (0, 1.4142135623731, -0.714532348365101, 0.179781531780361, 0.313243325980895),
    "Q0": (1, 2.77862574085483, -0.657082800760365, 0.17852846695558, 0.33128803733658),
}
#: selmodel(): estimate, standard error, tau², weights, likelihood ratio; alternative as given. Where the maximum lies
#: on the bound of delta (negative exponential, logistic) metafor's optimiser stops short of it and is not compared.
SELMODEL = {
    ("step", "less"): (-0.62056204436348, 0.261324516317978, 0.291244699177995, (1, 0.6355297793042),
                       0.242499482268162),
    ("beta", "greater"): (-0.789236567413299, 0.561815588049933, 0.407378087693353,
                          (1.49251724790611, 1.10863656194206), 1.42423234439182),
    ("half-normal", "greater"): (-0.765322076722175, 0.262865284757587, 0.257994318554651, (0.398846090790625,),
                                 0.0608546423971141),
    ("power", "greater"): (-0.946954510583846, 0.31945614301671, 0.255343601801978, (0.130796151128487,),
                           0.67960015508578),
}  # fmt: skip
#: selmodel(type="stepfun", steps=.025): standard error of the second weight
STEP_SE = 0.586619067291073
#: tes(): observed, expected, p
TES = (8, 7.8088303607381, 0.584058518751469)
#: fsn(): Rosenthal, Orwin, Rosenberg
FSN = [598, 13, 370]
#: influence() and leave1out(), studies 1 to 13
INFLUENCE = {
    "rstudent": [-0.218142474344442, -1.29179018325719, -0.754719689785772, -1.45120007105889, 0.847710579386837,
                 -0.117999458482776, -1.30372705919103, 1.45008026839721, 0.407613168355557, -1.12773861386972,
                 0.669079195292433, 1.28984097565979, 1.18790294941749],
    "dffits": [-0.0407075604868468, -0.343587736952733, -0.160361478497718, -0.520050612341681, 0.270745185772369,
               -0.0190063297986498, -0.336157530820046, 0.477459927935019, 0.141548440735901, -0.348694630442247,
               0.231504482896252, 0.252619838989975, 0.354860860271421],
    "cook_d": [0.0017165423672918, 0.113249704512703, 0.0259803248436411, 0.229481429376374, 0.076231411790572,
               0.000413495499759997, 0.108741623311804, 0.199177558127151, 0.0219984167571109, 0.117017798658052,
               0.0580781251117936, 0.0634333822133935, 0.122812842275046],
    "cov_ratio": [1.11644891104804, 1.01019211996711, 1.06699597403483, 0.965126908803455, 1.13802315052117,
                  1.24071651616571, 1.00771123287369, 1.0010702600835, 1.19676202958048, 1.05052741302667,
                  1.18597882278208, 1.02585672309977, 1.06504038084714],
    "hat": [0.0505948307931551, 0.0636467963212659, 0.0443602776309674, 0.0969874673569736, 0.0886845628682752,
            0.100957381652943, 0.0602718170294241, 0.101894386345929, 0.0874313313169806, 0.0836760724733689,
            0.099250266628389, 0.0382162942284151, 0.0840285153539128],
    "Q_without": [151.582572747109, 145.317607670209, 150.197044457953, 96.5625949713915, 151.320008931121,
                  128.186664682906, 145.829638145065, 67.9858114990849, 152.205060685431, 139.827073316802,
                  151.465504507947, 150.786834541142, 149.788423825434],
}  # fmt: skip
LEAVE1OUT = {
    "estimate": [-0.707083788031437, -0.654031200397814, -0.685554417972832, -0.628409407862505, -0.764170094987222,
                 -0.710876564850935, -0.655247599791984, -0.794767610948287, -0.741197299313848, -0.653032925763431,
                 -0.757858625204249, -0.759812097339421, -0.777536180774624],
    "se": [0.189961024702717, 0.180695386623819, 0.185706227113709, 0.176618945949925, 0.191787644314985,
           0.200254073054524, 0.180473369240703, 0.179877712551241, 0.19667491774175, 0.184267511663668,
           0.195786860992938, 0.18209097901272, 0.185535967620234],
}  # fmt: skip
#: cumul(order=year): estimates
CUMUL = [-0.889311333920205, -1.32500344224488, -0.972079557781193, -1.00109369559612, -1.10142355005877,
         -0.973463876140063, -0.901251436421003, -0.788565567147329, -0.865607471697204, -0.78521054378687,
         -0.708206256582989, -0.794767610948287, -0.714532348365101]  # fmt: skip
#: dat.raudenbush1985: regtest (z, p) and trimfill (k0, estimate, standard error)
RAUDENBUSH = (2.52612403548396, 0.0115328755252999, 3, 0.0281984971884347, 0.074099599998181)


@pytest.fixture(scope="module")
def network():
    return bcg("RR")


@pytest.fixture(scope="module")
def fit(network):
    return en.fit(network, engine="gls", tau="REML")


@pytest.fixture(scope="module")
def teachers():
    rows = [{"study": f"{i:02d}", "treat1": "high", "treat2": "low", "TE": r.yi, "seTE": np.sqrt(r.vi)}
            for i, r in enumerate(table("raudenbush1985").itertuples())]  # fmt: skip
    return en.from_table(rows, measure=MD, reference="low")


@pytest.mark.parametrize("method", REGTEST)
def test_the_regression_tests_are_those_of_regtest(network, method):
    found = asymmetry_test(network, method[0], predictor=method[1])
    got = (found.statistic, found.p, found.limit, found.limit_lower, found.limit_upper)
    assert got == pytest.approx(REGTEST[method], rel=EXACT if method[0] == "egger" else ITERATIVE)


def test_the_regression_on_study_size_is_that_of_regtest(network):
    found = asymmetry_test(network, "egger-random", predictor="n")
    assert (found.statistic, found.p) == pytest.approx(BY_SIZE, rel=ITERATIVE)


def test_the_rank_correlation_is_that_of_ranktest(network):
    found = asymmetry_test(network, "begg")
    assert (found.statistic, found.p) == pytest.approx(RANKTEST, rel=EXACT)


@pytest.mark.parametrize("estimator", TRIMFILL)
def test_trim_and_fill_is_that_of_trimfill(network, estimator):
    found = trim_and_fill(network, estimator=estimator)
    got = (found.missing, found.missing_se, found.estimate, found.se, found.tau2)
    assert got == pytest.approx(TRIMFILL[estimator], rel=ITERATIVE)


@pytest.mark.parametrize("kind", SELMODEL)
def test_selection_models_are_those_of_selmodel(network, kind):
    found = selection_model(network, kind[0], alternative=kind[1])
    got = (found.estimate, found.se, found.tau2, *found.weights.estimate, found.lrt)
    estimate, se, tau2, weights, lrt = SELMODEL[kind]
    assert got == pytest.approx((estimate, se, tau2, *weights, lrt), rel=SELECTION)


def test_the_standard_error_of_a_step_weight_is_that_of_selmodel(network):
    assert selection_model(network, alternative="less").weights.se[1] == pytest.approx(STEP_SE, rel=SELECTION)


def test_excess_significance_is_that_of_tes(network):
    found = excess_significance(network)
    assert (found.observed, found.expected, found.p) == pytest.approx(TES, rel=ITERATIVE)


def test_fail_safe_numbers_are_those_of_fsn(network):
    assert fail_safe_n(network).n.tolist() == FSN


@pytest.mark.parametrize("column", INFLUENCE)
def test_influence_is_that_of_influence(fit, column):
    assert influence(fit)[column].tolist() == pytest.approx(INFLUENCE[column], rel=ITERATIVE)


@pytest.mark.parametrize("column", LEAVE1OUT)
def test_leaving_one_study_out_is_leave1out(fit, column):
    assert leave_one_study_out(fit)[column].tolist() == pytest.approx(LEAVE1OUT[column], rel=ITERATIVE)


def test_the_cumulative_analysis_is_cumul(fit):
    years = table("bcg").year.to_numpy()
    order = [fit.network.studies[i] for i in np.argsort(years, kind="stable")]
    assert cumulative(fit, order=order).estimate.tolist() == pytest.approx(CUMUL, rel=ITERATIVE)


def test_the_teacher_expectancy_studies_agree_too(teachers):
    test, filled = asymmetry_test(teachers, "egger-random"), trim_and_fill(teachers)
    got = (test.statistic, test.p, filled.missing, filled.estimate, filled.se)
    assert got == pytest.approx(RAUDENBUSH, rel=1e-3)
