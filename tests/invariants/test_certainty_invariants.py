"""What must hold of every rating, whatever the network."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from enthesis.assess.certainty import StudyFacts, certainty
from enthesis.assess.concerns import Scale, heterogeneity, imprecision
from enthesis.assess.grade import CERTAINTIES, overall
from enthesis.inference.fit import fit
from enthesis.network.measures import OR
from enthesis.network.tables import from_table

SCALE = Scale(measure=OR, mid=1.25)
M = math.log(1.25)
effects = st.floats(-2, 2, allow_nan=False)
widths = st.floats(0.01, 3)
growth = st.floats(1, 4)


@given(effects, widths, widths, growth)
def test_imprecision_never_improves_when_the_interval_widens(estimate, below, above, more):
    narrow = imprecision(estimate, estimate - below, estimate + above, SCALE)
    wide = imprecision(estimate, estimate - more * below, estimate + more * above, SCALE)
    assert wide.steps >= narrow.steps


@given(effects, widths, widths, growth, st.floats(1, 3), st.floats(1, 3))
def test_a_rating_never_improves_when_its_intervals_widen(estimate, below, above, more, new, new_more):
    """Unless the narrow interval lies inside the range of equivalence: there CINeMA's limits are other ones."""
    own = (estimate - below, estimate + above)
    if own[0] > -M and own[1] < M:
        return

    def level(stretch, stretch_new):
        ends = (estimate - stretch * below, estimate + stretch * above)
        far = (estimate - stretch_new * below, estimate + stretch_new * above)
        made = [imprecision(estimate, *ends, SCALE), heterogeneity(estimate, *ends, *far, SCALE)]
        return CERTAINTIES.index(overall(made)[0])

    assert level(more, max(more, new * new_more)) >= level(1, new)


def test_the_exception_inside_the_range_of_equivalence_is_cinemas():
    inside = heterogeneity(0.1, 0.01, 0.2, 0.005, 0.5, SCALE)
    wider = heterogeneity(0.1, 0.01, 0.23, 0.005, 0.5, SCALE)
    assert (inside.level, wider.level) == ("some concerns", "no concerns")


@given(effects, widths, widths, growth)
def test_turning_a_comparison_round_changes_no_judgement(estimate, below, above, new):
    ends = (estimate - below, estimate + above)
    far = (estimate - new * below, estimate + new * above)
    turned, far_turned = (-ends[1], -ends[0]), (-far[1], -far[0])
    assert imprecision(estimate, *ends, SCALE).level == imprecision(-estimate, *turned, SCALE).level
    one = heterogeneity(estimate, *ends, *far, SCALE).level
    assert one == heterogeneity(-estimate, *turned, *far_turned, SCALE).level


counts = st.integers(5, 60)


@st.composite
def networks(draw, star=False):
    """Studies of two or three of four treatments; a star has two-arm studies with P only."""
    names = "PABC"
    studies = [("P", t) for t in "ABC"]
    if not star:
        studies += draw(st.lists(st.sampled_from([("A", "B"), ("B", "C"), ("P", "A", "C"), ("P", "B")]), max_size=4))
    rows = []
    for i, arms in enumerate(studies):
        for t in arms:
            rows.append(dict(study=f"s{i}", treatment=t, events=draw(counts), n=100 + 10 * names.index(t)))
    return rows


def rated(rows, rename=lambda t: t, reference="P"):
    told = [row | {"treatment": rename(row["treatment"])} for row in rows]
    network = from_table(told, measure="OR", reference=rename(reference), better="higher").replace(mid=1.25)
    levels = {f"s{i}": StudyFacts(bias=1 + i % 3, indirectness=1 + (i // 2) % 2) for i in range(len(rows))}
    return certainty(fit(network, engine="gls"), levels)


@settings(max_examples=15, deadline=None)
@given(networks(star=True))
def test_a_star_network_gives_a_rating_for_every_pair(rows):
    found = rated(rows)
    assert len(found.all) == 6
    assert all(len(r.concerns) == 6 and r.level in CERTAINTIES and r.reason for r in found.all)


@settings(max_examples=15, deadline=None)
@given(networks())
def test_other_names_of_treatments_change_nothing(rows):
    names = {"P": "zz", "A": "a : b", "B": "Ärger", "C": "c"}
    one, other = rated(rows), rated(rows, names.get)
    for r in one.all:
        same = other.rating(names[r.treatment], names[r.comparator])
        assert (same.level, [c.level for c in same.concerns]) == (r.level, [c.level for c in r.concerns])


@settings(max_examples=15, deadline=None)
@given(networks())
def test_the_order_of_studies_and_arms_changes_nothing(rows):
    one, other = rated(rows), rated(rows[::-1])
    for r in one.all:
        assert other.rating(r.treatment, r.comparator).level == r.level
