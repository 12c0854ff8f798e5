"""What must hold for the frequentist analysis of any network: names, order and reference are not data."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enthesis.assess.consistency import decomposition
from enthesis.assess.contribution import contributions, hat_matrix, study_contributions
from enthesis.assess.node_splitting import node_splits
from enthesis.estimands import relative_effects
from enthesis.inference.fit import fit
from enthesis.inference.regression import tau2_estimate
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model
from enthesis.network.tables import from_table

TREATMENTS = "ABCDE"
MODELS = {"common": Model(heterogeneity=Common()), "random": Model()}


@st.composite
def networks(draw, treatments=TREATMENTS, most_arms=4):
    """Arm rows (study, treatment, mean, se) of a connected network; studies of two to four arms."""
    rows = []
    n = draw(st.integers(len(treatments) - 1, len(treatments) + 4))
    for i in range(n):
        arms = draw(
            st.lists(st.sampled_from(treatments), min_size=2, max_size=min(most_arms, len(treatments)), unique=True)
        )
        if i < len(treatments) - 1:
            # a chain of studies keeps the network in one part
            arms = list(dict.fromkeys([treatments[i], treatments[i + 1], *arms]))[:most_arms]
        for arm in arms:
            mean, se = draw(st.floats(-3, 3)), draw(st.floats(0.2, 2))
            rows.append((f"s{i}", arm, round(mean, 3), round(se, 3)))
    return rows


def fitted(rows, effects="random", reference="A", tau="DL"):
    table = [dict(study=s, treatment=t, mean=m, se=se) for s, t, m, se in rows]
    return fit(from_table(table, measure="MD", reference=reference), MODELS[effects], engine="gls", tau=tau)


def by_pair(frame, columns=("estimate", "se")):
    return {(r["treatment"], r["comparator"]): [r[c] for c in columns] for r in frame.to_dict("records")}


def same(one, two, tolerance=1e-7):
    assert one.keys() == two.keys()
    for key, value in one.items():
        np.testing.assert_allclose(two[key], value, rtol=tolerance, atol=tolerance, err_msg=str(key))


few = settings(max_examples=25, deadline=None)
effects = pytest.mark.parametrize("effects", ["common", "random"])


@effects
@few
@given(rows=networks(), order=st.permutations(TREATMENTS))
def test_renaming_treatments_renames_the_results(effects, rows, order):
    new = dict(zip(TREATMENTS, order))
    renamed = by_pair(relative_effects(fitted([(s, new[t], m, se) for s, t, m, se in rows], effects)))
    expected = by_pair(relative_effects(fitted(rows, effects)))
    same({(new[a], new[b]): x for (a, b), x in expected.items()}, renamed)


@few
@given(rows=networks(), data=st.data())
def test_the_order_of_arms_and_studies_changes_nothing(rows, data):
    shuffled = data.draw(st.permutations(rows))
    same(by_pair(relative_effects(fitted(rows))), by_pair(relative_effects(fitted(shuffled))))


@effects
@few
@given(rows=networks(), reference=st.sampled_from(TREATMENTS))
def test_the_reference_changes_no_comparison(effects, rows, reference):
    same(
        by_pair(relative_effects(fitted(rows, effects))),
        by_pair(relative_effects(fitted(rows, effects, reference))),
    )


@few
@given(rows=networks(), reference=st.sampled_from(TREATMENTS))
def test_the_reference_changes_no_test_of_consistency(rows, reference):
    one, two = decomposition(fitted(rows)), decomposition(fitted(rows, reference=reference))
    assert pytest.approx((one.total.Q, one.within.Q, one.between.Q), rel=1e-6, abs=1e-8) == (
        two.total.Q,
        two.within.Q,
        two.between.Q,
    )
    assert two.between.df == one.between.df


@few
@given(rows=networks())
def test_effects_add_up_around_every_triangle(rows):
    d = by_pair(relative_effects(fitted(rows)))
    for a, b, c in (("A", "B", "C"), ("B", "D", "E"), ("C", "A", "E")):
        assert d[a, b][0] + d[b, c][0] == pytest.approx(d[a, c][0], abs=1e-9)


@few
@given(rows=networks("AB", most_arms=2))
def test_two_treatments_are_a_pairwise_meta_analysis(rows):
    arms = defaultdict(dict)
    for s, t, m, se in rows:
        arms[s][t] = (m, se)
    y = np.array([x["B"][0] - x["A"][0] for x in arms.values()])
    v = np.array([x["B"][1] ** 2 + x["A"][1] ** 2 for x in arms.values()])
    tau2 = tau2_estimate(y, v, np.ones((len(y), 1)), "DL")
    w = 1 / (v + tau2)
    estimate, se = by_pair(relative_effects(fitted(rows)))["B", "A"]
    assert (estimate, se) == pytest.approx((w @ y / w.sum(), w.sum() ** -0.5), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize(("effects", "tau"), [("common", "DL"), ("random", "REML")])
@few
@given(rows=networks(), arms=st.lists(st.sampled_from(TREATMENTS), min_size=2, max_size=3, unique=True))
def test_a_study_that_knows_nothing_changes_nothing(effects, tau, rows, arms):
    # (moment estimators of tau count its degrees of freedom all the same)
    with_it = rows + [("nothing", t, 1.0, 1e7) for t in arms]
    one, two = (by_pair(relative_effects(fitted(x, effects, tau=tau))) for x in (rows, with_it))
    same(one, two, 1e-5)


@effects
@few
@given(rows=networks())
def test_arms_and_their_contrasts_are_the_same_data(effects, rows):
    arms = defaultdict(list)
    for s, t, m, se in rows:
        arms[s].append((t, m, se))
    contrasts = [
        dict(study=s, treatment=t, comparator=c, effect=m - n, se=(se**2 + sf**2) ** 0.5)
        for s, group in arms.items()
        for i, (t, m, se) in enumerate(group)
        for c, n, sf in group[:i]
    ]
    network = from_table(contrasts, measure="MD", reference="A")
    same(
        by_pair(relative_effects(fitted(rows, effects))),
        by_pair(relative_effects(fit(network, MODELS[effects], engine="gls", tau="DL"))),
        1e-6,
    )


@effects
@few
@given(rows=networks())
def test_direct_and_indirect_evidence_make_up_the_network_estimate(effects, rows):
    splits = node_splits(fitted(rows, effects))
    for row in splits[splits["p"].notna()].itertuples():
        w, u = row.direct_se**-2, row.indirect_se**-2
        assert (w * row.direct + u * row.indirect) / (w + u) == pytest.approx(row.network, abs=1e-6)
        assert (w + u) ** -0.5 == pytest.approx(row.network_se, rel=1e-6)


@few
@given(rows=networks(), order=st.permutations(TREATMENTS))
def test_renaming_treatments_changes_no_split(rows, order):
    new = dict(zip(TREATMENTS, order))
    columns = ("network_se", "direct_se", "proportion")
    one = by_pair(node_splits(fitted(rows)), columns)
    two = by_pair(node_splits(fitted([(s, new[t], m, se) for s, t, m, se in rows])), columns)
    both_ways = two | {(c, t): x for (t, c), x in two.items()}
    for (t, c), x in one.items():
        np.testing.assert_allclose(both_ways[new[t], new[c]], x, rtol=1e-6)


@pytest.mark.parametrize("method", ["shortest path", "random walk", "L1"])
@settings(max_examples=12, deadline=None)
@given(rows=networks())
def test_contributions_are_positive_and_sum_to_one(method, rows):
    table = contributions(fitted(rows), method)
    assert (table.to_numpy() > -1e-9).all()
    np.testing.assert_allclose(table.sum(axis=1), 1.0)


@few
@given(rows=networks())
def test_contributions_of_studies_sum_to_one(rows):
    np.testing.assert_allclose(study_contributions(fitted(rows)).sum(axis=1), 1.0)


@few
@given(rows=networks())
def test_no_comparison_contributes_more_than_flows_through_it(rows):
    result = fitted(rows)
    flow = np.abs(hat_matrix(result)).to_numpy()
    for method in ("shortest path", "random walk"):
        assert (contributions(result, method).to_numpy() <= flow + 1e-9).all()


@few
@given(rows=networks())
def test_detaching_a_design_never_adds_inconsistency(rows):
    split = decomposition(fitted(rows))
    assert (split.detached["Q"] <= split.between.Q + 1e-8).all()
    assert (split.detached["df"] >= 0).all()


@few
@given(rows=networks())
def test_q_within_and_between_designs_add_up(rows):
    split = decomposition(fitted(rows))
    assert pytest.approx(split.total.Q, rel=1e-8, abs=1e-9) == split.within.Q + split.between.Q
