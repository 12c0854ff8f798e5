"""Rare-event networks beside netmetabin of R's netmeta 3.4-0 (meta 8.4-0, R 4.2.2), method "MH" and "NCH", sm "OR",
cc.pooled=FALSE: common effects against the reference, with standard errors.

Its "NCH" is the multinomial approximation, optimised to about 1e-4.
"""

import numpy as np
import pytest

from enthesis.inference.fit import fit
from enthesis.network.tables import from_table
from published import table


def gurusamy():
    return from_table(table("gurusamy2011"), measure="OR", columns={"events": "death"}, reference="Control/Placebo")


def smoking():
    """Sorted as netmeta sorts them: the covariance of a three-arm design is taken at its first treatment."""
    names = {"no_contact": "No intervention", "self_help": "Self-help", "ind_counseling": "Individual counselling",
             "grp_counseling": "Group counselling"}  # fmt: skip
    data = table("hasselblad1998").replace({"trt": names})
    return from_table(data, measure="OR", columns={"study": "study", "treatment": "trt", "events": "xi", "n": "ni"},
                      reference="No intervention")  # fmt: skip


def effects(result):
    at = result.network.index(result.reference)
    return {
        name: (result.estimate[i], np.sqrt(result.covariance[i, i]))
        for i, name in enumerate(result.treatments)
        if i != at
    }


MH_GURUSAMY = {
    "Aprotonin": (-1.03494621012004, 0.52527151859682),
    "EACA": (-0.305853773004032, 0.849332665489247),
    "rFVIIa": (0.430168381231053, 0.810706237819599),
    "Tranexamic acid": (-0.265875583787202, 0.625371835293235),
}


def test_transplantation_by_mantel_haenszel():
    result = fit(gurusamy(), engine="mh")
    assert (result.heterogeneity.Q, result.heterogeneity.df) == (pytest.approx(1.87974998833102, rel=1e-8), 2)
    got = effects(result)
    assert set(got) == set(MH_GURUSAMY)
    for name, expected in MH_GURUSAMY.items():
        assert got[name] == pytest.approx(expected, rel=1e-8)


NCH_GURUSAMY = {
    "Aprotonin": (-1.02213909867773, 0.500135176969416),
    "EACA": (-0.262288915256279, 0.81133463557968),
    "rFVIIa": (0.411650829649997, 0.795318899022995),
}


@pytest.mark.parametrize("name", NCH_GURUSAMY)
def test_transplantation_by_the_multinomial_approximation(name):
    assert effects(fit(gurusamy(), engine="nch-approximate"))[name] == pytest.approx(NCH_GURUSAMY[name], abs=1e-4)


MH_SMOKING = {
    "Group counselling": (0.724343879067421, 0.187443074599153),
    "Individual counselling": (0.721105488132042, 0.0564291625061149),
    "Self-help": (0.211465141911979, 0.125270498266156),
}


def test_smoking_with_three_arm_studies_by_mantel_haenszel():
    result = fit(smoking(), engine="mh")
    assert (result.heterogeneity.Q, result.heterogeneity.df) == (pytest.approx(12.0389691592755, rel=1e-8), 6)
    got = effects(result)
    for name, expected in MH_SMOKING.items():
        assert got[name] == pytest.approx(expected, rel=1e-8)
