"""What happens to arms that a measure can hardly compare: zero cells, event-free studies, means without a ratio."""

import numpy as np
import pytest

from enthesis.inference.fit import fit
from enthesis.network.measures import ContinuityCorrection
from enthesis.network.tables import from_table


def counts(*arms, **correction):
    rows = [dict(study=s, treatment=t, events=r, n=n) for s, t, r, n in arms]
    chosen = ContinuityCorrection(**correction) if correction else None
    return from_table(rows, measure="OR", reference="A", correction=chosen)


def means(*arms):
    rows = [dict(study=s, treatment=t, mean=m, sd=1.0, n=40) for s, t, m in arms]
    return from_table(rows, measure="ROM", reference="A")


ORDINARY = (("1", "A", 5, 50), ("1", "B", 9, 50))
ZERO = (("2", "A", 0, 40), ("2", "B", 3, 40))
SILENT = (("3", "A", 0, 30), ("3", "B", 0, 31))


def effect(network, study):
    for g in network.pairs.groups:
        for i in np.flatnonzero(g.study == network.studies.index(study)):
            return g.y[i, 1, 0], g.v[i, 1, 0]
    return None


def test_a_zero_cell_gets_one_half_in_each_cell_of_its_comparison():
    y, v = effect(counts(*ORDINARY, *ZERO), "2")
    cells = np.array([3.5, 37.5, 0.5, 40.5])
    assert (y, v) == pytest.approx((np.log(3.5 * 40.5 / (37.5 * 0.5)), (1 / cells).sum()))


def test_other_studies_are_corrected_only_when_all_are_asked_for():
    plain, everywhere = counts(*ORDINARY, *ZERO), counts(*ORDINARY, *ZERO, scope="all")
    assert effect(plain, "1")[0] == pytest.approx(np.log(9 * 45 / (41 * 5)))
    assert effect(everywhere, "1")[0] == pytest.approx(np.log(9.5 * 45.5 / (41.5 * 5.5)))


def test_without_a_correction_a_zero_cell_gives_no_contrast():
    assert effect(counts(*ORDINARY, *ZERO, scope="none"), "2") is None


def test_a_study_without_events_is_left_out_of_ratios_and_said():
    result = fit(counts(*ORDINARY, *SILENT), engine="gls")
    assert result.network.studies == ("1",)
    assert {e.study for e in result.network.ledger.excluded} == {"3"}


def test_a_study_without_events_is_corrected_when_asked_for():
    y, v = effect(counts(*ORDINARY, *SILENT, double_zero="corrected"), "3")
    assert (y, v) == pytest.approx((np.log(30.5 / 31.5), 4 + 1 / 30.5 + 1 / 31.5))


def test_an_unknown_treatment_of_studies_without_events_is_refused():
    with pytest.raises(ValueError, match="Known: corrected, left out"):
        ContinuityCorrection(double_zero="dropped")


def test_two_falls_have_a_ratio_like_two_rises():
    fall, rise = (effect(means(("1", "A", sign * 1.2), ("1", "B", sign * 1.8)), "1") for sign in (-1, 1))
    assert fall == pytest.approx(rise)


def test_means_of_different_signs_have_no_ratio_and_are_said():
    result = fit(means(("1", "A", 1.0), ("1", "B", 2.0), ("2", "A", -0.1), ("2", "B", 0.3)), engine="gls")
    assert [(e.study, "different signs" in e.reason) for e in result.network.ledger.excluded] == [("2", True)] * 2
