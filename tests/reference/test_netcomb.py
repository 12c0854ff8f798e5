"""Additive component network meta-analysis of Linde 2016 beside R's netmeta 3.4-0 (R 4.2.2): netcomb(net),
netcomb(net, inactive="Placebo"), netcomparison, netcomplex; common effects and random effects with DL.

The published table is rounded to six decimals, so agreement here is to 1e-5 (with the unrounded data it is 1e-12, see
validation/metafor).
"""

import numpy as np
import pytest

from enthesis.assess.components import combination_effects, component_effects
from enthesis.inference.fit import fit
from enthesis.models.effects import Components
from enthesis.models.heterogeneity import Common, Exchangeable
from enthesis.models.model import Model
from enthesis.network.tables import from_table
from published import table


@pytest.fixture(scope="module")
def linde():
    columns = {"study": "id", "effect": "lnOR", "se": "selnOR"}
    return from_table(table("linde2016"), measure="OR", columns=columns, reference="Placebo")


def additive(network, inactive, heterogeneity):
    return fit(
        network, Model(effects=Components(inactive=inactive), heterogeneity=heterogeneity), engine="gls", tau="DL"
    )


@pytest.mark.parametrize(
    ("inactive", "Q", "df", "difference", "df_difference", "p", "tau"),
    [
        (None, 108.97836114104, 89, 6.53086364983342, 2, 0.0381804442562002, 0.149076586220463),
        ("Placebo", 109.118943286775, 90, 6.67144579556852, 3, 0.0831408674135257, 0.144088360913983),
    ],
)
def test_additivity_is_tested_as_published(linde, inactive, Q, df, difference, df_difference, p, tau):
    result = additive(linde, inactive, Exchangeable())
    told = result.diagnostics
    assert (result.heterogeneity.df, told["additivity_df"]) == (df, df_difference)
    got = (result.heterogeneity.Q, told["additivity_Q"], told["additivity_p"], result.tau.estimate)
    assert got == pytest.approx((Q, difference, p, tau), rel=1e-5)


@pytest.mark.parametrize(
    ("heterogeneity", "estimate", "se"),
    [
        (Common(), (0.789434779247925, 0.0561149878383957), (0.220899135103318, 0.141051572205757)),
        (Exchangeable(), (0.837501054385244, 0.0969049684854064), (0.240455235154149, 0.170267399821637)),
    ],
    ids=["common", "random"],
)
def test_components_have_the_published_effects(linde, heterogeneity, estimate, se):
    rows = component_effects(additive(linde, "Placebo", heterogeneity)).set_index("component")
    got = rows.loc[["Face-to-face CBT", "Face-to-face interpsy"]]
    assert (*got.estimate, *got.se) == pytest.approx((*estimate, *se), abs=1e-5)


def test_a_combination_has_the_published_effect(linde):
    row = combination_effects(additive(linde, "Placebo", Exchangeable()), ["Face-to-face CBT + SSRI"]).iloc[0]
    assert (row.estimate, row.se) == pytest.approx((1.36317139316645, 0.266198568779233), abs=1e-5)


def test_a_comparison_of_combinations_has_the_published_effect(linde):
    result = additive(linde, "Placebo", Common())
    row = combination_effects(result, ["Face-to-face CBT + SSRI"], "SSRI").iloc[0]
    assert (row.estimate, row.se) == pytest.approx((0.789434779247925, 0.220899135103318), abs=1e-5)
    assert np.isfinite(row.p)
