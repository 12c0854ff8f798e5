"""Consistency and contribution beside netmeta 3.4-0 (calls and settings in `netmeta_assess.json`).

Everything here is closed-form linear algebra on the same contrasts: 1e-8. Only netmeta's importance of a study replaces
its standard errors by 100 times the largest one instead of leaving it out: 2e-6.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from enthesis.assess.consistency import decomposition
from enthesis.assess.contribution import contributions, evidence_flow, hat_matrix, study_importance
from enthesis.assess.net_heat import net_heat
from enthesis.assess.node_splitting import node_splits
from enthesis.inference.fit import fit
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model
from enthesis.network.tables import from_table
from published import table

REFERENCE = json.loads((Path(__file__).parent / "netmeta_assess.json").read_text())["networks"]
NAMES = list(REFERENCE)
EXACT, IGNORED_STUDY = 1e-8, 2e-6


@cache
def fitted(name, effects="random"):
    data = table(name)
    if name == "hasselblad1998":
        data = data[["study", "trt", "xi", "ni"]].set_axis(["study", "treatment", "events", "n"], axis=1)
        reference = "no_contact"
    else:
        data, reference = data.rename(columns={"death": "events"}), "Control/Placebo"
    network = from_table(data, measure="OR", reference=reference)
    if effects == "common":
        return fit(network, Model(heterogeneity=Common()), engine="gls")
    return fit(network, engine="gls", tau="DL")


def lookup(names):
    """Position and sign of "a : b" and of "b : a"."""
    found = {}
    for i, name in enumerate(names):
        a, b = name.split(" : ")[:2]
        found[f"{a} : {b}"], found[f"{b} : {a}"] = (i, 1.0), (i, -1.0)
    return found


def gap(frame, peer, *, signed):
    """Largest difference between a table and the peer's matrix, rows and columns by name."""
    rows, columns, values = lookup(frame.index), lookup(frame.columns), frame.to_numpy()
    return max(
        abs(values[rows[r][0], columns[c][0]] * (rows[r][1] * columns[c][1] if signed else 1) - x)
        for r, line in zip(peer["rows"], peer["values"])
        for c, x in zip(peer["cols"], line)
    )


@pytest.mark.parametrize("name", NAMES)
def test_q_splits_into_within_and_between_designs(name):
    split, peer = decomposition(fitted(name)), REFERENCE[name]["Q"]
    tests = (split.total, split.within, split.between)
    np.testing.assert_allclose([t.Q for t in tests], peer["Q"], atol=EXACT)
    assert [t.df for t in tests] == peer["df"]


@pytest.mark.parametrize("name", NAMES)
def test_heterogeneity_of_each_design(name):
    ours = decomposition(fitted(name)).designs.set_index("design")
    for design, (Q, df) in REFERENCE[name]["designs"].items():
        assert ours.loc[design, "Q"] == pytest.approx(Q, abs=EXACT)
        assert ours.loc[design, "df"] == df


@pytest.mark.parametrize("name", NAMES)
def test_inconsistency_left_when_a_design_is_detached(name):
    ours = decomposition(fitted(name)).detached.set_index("design")
    for design, (Q, df) in REFERENCE[name]["detached"].items():
        assert ours.loc[design, "Q"] == pytest.approx(Q, abs=EXACT)
        assert ours.loc[design, "df"] == df


@pytest.mark.parametrize("name", NAMES)
def test_design_by_treatment_interaction_with_tau_within_designs(name):
    ours, peer = decomposition(fitted(name)), REFERENCE[name]["interaction"]
    assert ours.tau_within == pytest.approx(peer["tau.within"], abs=EXACT)
    assert (ours.interaction.Q, ours.interaction.p) == pytest.approx((peer["Q"], peer["pval"]), abs=EXACT)


@pytest.mark.parametrize("effects", ["common", "random"])
@pytest.mark.parametrize(
    ("name", "section", "method"),
    [
        ("hasselblad1998", "netsplit_SIDE_backcalc", "back-calculation"),
        ("hasselblad1998", "netsplit_SIDDE", "SIDDE"),
        ("gurusamy2011", "netsplit_SIDE_backcalc", "back-calculation"),
    ],
)
def test_direct_and_indirect_evidence(name, section, method, effects):
    ours = node_splits(fitted(name, effects), method, with_indirect_only=True)
    where = lookup(ours["treatment"] + " : " + ours["comparator"])
    columns = ["proportion", "direct", "direct_se", "indirect", "indirect_se", "difference", "difference_se", "p"]
    for comparison, peer in REFERENCE[name][section][effects].items():
        row, sign = where[comparison]
        mine = ours.loc[row, columns].to_numpy(float) * [1, sign, 1, sign, 1, sign, 1, 1]
        np.testing.assert_allclose(mine, np.array(peer, dtype=float), atol=EXACT, equal_nan=True)


@pytest.mark.parametrize("effects", ["common", "random"])
@pytest.mark.parametrize("name", NAMES)
def test_net_heat(name, effects):
    ours, peer = net_heat(fitted(name, effects)), REFERENCE[name]["netheat"][effects]
    seen = {}
    for design, line in zip(peer["rows"], peer["values"]):
        nth = seen[design] = seen.get(design, -1) + 1
        row = ours[ours["design"] == design].iloc[nth]
        for column, x in zip(peer["cols"], line):
            if x is not None:
                # netmeta's matrix has the opposite sign
                assert -row[column] == pytest.approx(x, abs=EXACT)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("section", "method"), [("netcontrib_shortestpath", "shortest path"), ("netcontrib_randomwalk", "random walk")]
)
def test_contribution_matrix(name, section, method):
    assert gap(contributions(fitted(name), method), REFERENCE[name][section], signed=False) < EXACT


@pytest.mark.parametrize("name", NAMES)
def test_hat_matrix_of_comparisons(name):
    assert gap(hat_matrix(fitted(name)), REFERENCE[name]["hatmatrix_Davies"], signed=True) < EXACT


@pytest.mark.parametrize("name", NAMES)
def test_hat_matrix_of_designs(name):
    ours, peer = hat_matrix(fitted(name), "designs"), REFERENCE[name]["hatmatrix_Krahn"]
    rows = lookup(ours.index)
    columns, seen = {}, {}
    for i, label in enumerate(ours.columns):
        comparison, _, design = label.partition(" (")
        design = design.removesuffix(")")
        t, c = comparison.split(" : ")
        # two-arm designs are named by their comparison in network order
        key = design or " : ".join(sorted((t, c), key=fitted(name).network.index))
        seen[key] = seen.get(key, -1) + 1
        columns[key, seen[key]] = (i, -1.0 if key.startswith(c) else 1.0)
    counted = {}
    for c, design in enumerate(peer["cols"]):
        counted[design] = counted.get(design, -1) + 1
        i, sign = columns[design, counted[design]]
        for r, x in zip(peer["rows"], np.array(peer["values"])[:, c]):
            assert ours.iat[rows[r][0], i] * rows[r][1] * sign == pytest.approx(x, abs=EXACT)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("column", "measure"),
    [
        ("proportion", "proportion"),
        ("mean_path", "meanpath"),
        ("parallelism", "minpar"),
        ("parallelism_study", "minpar.study"),
    ],
)
def test_flow_of_evidence(name, column, measure):
    ours = evidence_flow(fitted(name))
    where = lookup(ours["treatment"] + " : " + ours["comparator"])
    for comparison, x in REFERENCE[name]["netmeasures"][measure].items():
        assert ours[column].iloc[where[comparison][0]] == pytest.approx(x, abs=EXACT)


def test_importance_of_studies():
    ours = study_importance(fitted("hasselblad1998"))
    peer = REFERENCE["hasselblad1998"]["netimpact"]
    columns = lookup(ours.columns)
    # the peer's copy of the table numbers the studies differently, so each column is compared in ascending order
    for comparison, theirs in zip(peer["cols"], np.array(peer["values"]).T):
        mine = ours.iloc[:, columns[comparison][0]].to_numpy()
        np.testing.assert_allclose(np.sort(mine), np.sort(theirs), atol=IGNORED_STUDY)
