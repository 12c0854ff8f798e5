"""Contribution: flows and paths whose answer can be worked out by hand."""

import numpy as np
import pytest

from enthesis.assess import paths
from enthesis.assess.contribution import (
    contributions,
    evidence_flow,
    hat_matrix,
    study_contributions,
    study_importance,
)
from enthesis.errors import UsageError
from enthesis.inference.fit import fit
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model
from enthesis.network.tables import from_table

METHODS = ["shortest path", "random walk", "L1"]


def fitted(rows, reference="A"):
    table = [dict(study=s, treatment=t, comparator=c, effect=0.1, se=se) for s, t, c, se in rows]
    network = from_table(table, measure="MD", reference=reference)
    return fit(network, Model(heterogeneity=Common()), engine="gls")


TRIANGLE = [("1", "B", "A", 1.0), ("2", "C", "A", 1.0), ("3", "C", "B", 1.0)]
CHAIN = [("1", "B", "A", 1.0), ("2", "C", "B", 1.0), ("3", "D", "C", 1.0)]
#: a diamond A - (B | C) - D with a bridge B - C, flow 0.6 and 0.4 from A, 0.2 over the bridge
DIAMOND = (np.array([0, 0, 1, 1, 2]), np.array([1, 2, 2, 3, 3]), np.array([0.6, 0.4, 0.2, 0.4, 0.6]))


@pytest.mark.parametrize("method", METHODS)
def test_in_a_triangle_two_thirds_are_direct(method):
    table = contributions(fitted(TRIANGLE), method, [("B", "A")])
    np.testing.assert_allclose(table.iloc[0], [2 / 3, 1 / 6, 1 / 6], atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_along_a_chain_every_link_contributes_alike(method):
    np.testing.assert_allclose(contributions(fitted(CHAIN), method, [("D", "A")]).iloc[0], 1 / 3, atol=1e-9)


def test_the_shortest_paths_go_first():
    # A-B-D 0.4, A-C-D 0.4, then A-B-C-D 0.2
    ours = paths.shortest_path(*DIAMOND, source=0, sink=3, size=4)
    np.testing.assert_allclose(ours, [0.2 + 0.2 / 3, 0.2, 0.2 / 3, 0.2, 0.2 + 0.2 / 3])


def test_the_random_walk_splits_where_the_flow_splits():
    # A-B-D 0.6·2/3, A-B-C-D 0.6·1/3, A-C-D 0.4
    ours = paths.random_walk(*DIAMOND, source=0, sink=3, size=4)
    np.testing.assert_allclose(ours, [0.2 + 0.2 / 3, 0.2, 0.2 / 3, 0.2, 0.2 + 0.2 / 3])


def test_the_linear_programme_gives_short_paths_the_most():
    rng = np.random.default_rng(5)
    result = fitted([(str(i), *rng.choice(list("ABCDEFG"), 2, replace=False), rng.uniform(0.2, 2)) for i in range(40)])
    lengths = {}
    for method in ("shortest path", "random walk", "L1"):
        table = contributions(result, method, [("G", "A")])
        direct = table[[c for c in table if set(c.split(" : ")) == {"A", "G"}]].to_numpy().sum()
        lengths[method] = (direct, table.to_numpy().sum())
    assert all(total == pytest.approx(1) for _, total in lengths.values())
    assert lengths["L1"][0] == pytest.approx(lengths["shortest path"][0])


def test_a_circle_of_flow_is_taken_out():
    tail, head = np.array([0, 1, 2, 1]), np.array([1, 2, 1, 3])
    flow = paths.without_circles(tail, head, np.array([1.0, 0.3, 0.3, 1.0]), 4)
    np.testing.assert_allclose(flow, [1.0, 0.0, 0.0, 1.0])


def test_two_studies_share_their_comparison_by_weight():
    table = study_contributions(fitted([("1", "B", "A", 1.0), ("2", "B", "A", 2.0)]))
    np.testing.assert_allclose(table.iloc[0], [0.8, 0.2])


@pytest.mark.parametrize("kind", ["comparisons", "designs"])
def test_the_hat_matrix_gives_network_estimates_from_direct_ones(kind):
    rows = [("1", "B", "A", 1.0, 0.5), ("2", "C", "A", 2.0, 0.7), ("3", "C", "B", 4.0, 0.9), ("4", "D", "B", 1.0, 1.0)]
    table = [dict(study=s, treatment=t, comparator=c, effect=y, se=se) for s, t, c, y, se in rows]
    result = fit(from_table(table, measure="MD", reference="A"), Model(heterogeneity=Common()), engine="gls")
    H = hat_matrix(result, kind)
    direct = {f"{t} : {c}": y for _, t, c, y, _ in rows} | {f"{c} : {t}": -y for _, t, c, y, _ in rows}
    network = H.to_numpy() @ [direct[c] for c in H.columns]
    index = result.network.index
    expected = [result.estimate[index(t)] - result.estimate[index(c)] for t, c in (n.split(" : ") for n in H.index)]
    np.testing.assert_allclose(network, expected, atol=1e-12)


def test_the_hat_matrix_of_contrasts_is_a_projection():
    H = hat_matrix(fitted(TRIANGLE), "contrasts").to_numpy()
    np.testing.assert_allclose(H @ H, H, atol=1e-12)


def test_mean_path_length_of_a_chain_is_its_length():
    flow = evidence_flow(fitted(CHAIN), [("D", "A")]).iloc[0]
    assert (flow.mean_path, flow.parallelism, flow.proportion) == pytest.approx((3, 1, 0))


def test_importance_is_the_precision_lost_without_the_study():
    rng = np.random.default_rng(3)
    table = [
        dict(study=s, treatment=t, mean=rng.normal(), se=rng.uniform(0.3, 1.0))
        for s, design in (("1", "ABC"), ("2", "AB"), ("3", "BC"), ("4", "AC"), ("5", "ABC"))
        for t in design
    ]
    whole = fit(from_table(table, measure="MD", reference="A"), Model(heterogeneity=Common()), engine="gls")
    part = fit(
        from_table([r for r in table if r["study"] != "1"], measure="MD", reference="A"),
        Model(heterogeneity=Common()),
        engine="gls",
    )
    b = whole.network.index("B")
    expected = 1 - whole.covariance[b, b] / part.covariance[b, b]
    assert study_importance(whole, [("B", "A")]).loc["1"].item() == pytest.approx(expected)


def test_a_study_that_alone_links_two_treatments_has_importance_one():
    importance = study_importance(fitted(CHAIN), [("D", "A"), ("B", "A")])
    assert importance.loc["3"].tolist() == [1.0, 0.0]


def test_a_treatment_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="'X' is not known"):
        contributions(fitted(CHAIN), comparisons=[("X", "A")])


def test_a_comparison_of_a_treatment_with_itself_is_refused():
    with pytest.raises(UsageError, match="needs two treatments"):
        contributions(fitted(CHAIN), comparisons=[("A", "A")])


@pytest.mark.parametrize("method", ["shortest path", "random walk"])
def test_a_dense_network_is_split_into_paths_exactly(method):
    rng = np.random.default_rng(11)
    letters = [chr(65 + i) for i in range(12)]
    rows = [(str(i), *rng.choice(letters, 2, replace=False), rng.uniform(0.2, 2)) for i in range(120)]
    result = fitted(rows)
    flow = np.abs(hat_matrix(result)).to_numpy()
    table = contributions(result, method).to_numpy()
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    # an edge that carries flow contributes, one that carries none does not
    assert ((table > 1e-9) == (flow > 1e-9)).mean() > 0.999
