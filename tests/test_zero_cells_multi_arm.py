"""Zero cells in studies of three and more arms: the contrasts of a study keep a covariance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import enthesis as en
from enthesis.network.blocks import ArmCounts
from enthesis.network.measures import OR, PROBIT, RD, RR, ContinuityCorrection
from enthesis.network.pairwise import pairwise

COUNTS = st.lists(st.tuples(st.integers(1, 400), st.sampled_from([0, 0, 1, 2, 400])), min_size=3, max_size=5)


@pytest.mark.parametrize("measure", [OR, RR, RD, PROBIT], ids=lambda m: m.name)
@given(arms=COUNTS)
@settings(max_examples=60, deadline=None)
def test_the_variances_of_a_studys_contrasts_can_all_be_true(measure, arms):
    n = np.array([float(size) for size, _ in arms])
    r = np.minimum(n, [float(events) for _, events in arms])
    block = ArmCounts(study=np.zeros(len(n), int), treatment=np.arange(len(n)), r=r, n=n)
    for group in pairwise((block,), measure, ContinuityCorrection(), ("s",)).groups:
        centre = np.eye(group.k) - 1 / group.k
        values = np.linalg.eigvalsh(-0.5 * centre @ group.v[0] @ centre)
        assert values[1] > 0 or group.k == 1
        assert values[0] > -1e-12 * group.v.max()


@pytest.mark.parametrize("engine", ["gls", "laplace"])
def test_risk_differences_of_a_study_with_two_empty_arms_are_pooled(engine):
    rows = [dict(study="1", treatment=t, events=r, n=n)
            for t, r, n in zip("ABCD", (0, 1, 1, 0), (332, 198, 18, 61), strict=True)]  # fmt: skip
    network = en.from_table(rows, measure="RD", reference="A")
    result = en.fit(network, en.Model(heterogeneity=en.Common()), engine=engine)
    assert result.estimate == pytest.approx([0, 1 / 198, 1 / 18, 0], abs=2e-3)


def test_only_the_studies_that_need_it_are_corrected_in_all_arms():
    # netmeta's rule elsewhere: B against C has no zero cell and is not corrected
    rows = [dict(study="1", treatment=t, events=r, n=50) for t, r in (("A", 0), ("B", 5), ("C", 9))]
    group = en.from_table(rows, measure="OR", reference="A").pairs.groups[0]
    assert group.v[0, 1, 2] == pytest.approx(1 / 5 + 1 / 45 + 1 / 9 + 1 / 41)
