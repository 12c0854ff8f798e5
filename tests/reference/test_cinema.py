"""CINeMA's own judgements on its demonstration data (settings and sources in `validation/cinema/cinema.json`)."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from enthesis.assess.concerns import weighed
from enthesis.assess.contribution import study_contributions
from enthesis.assess.node_splitting import node_splits
from enthesis.inference.fit import fit
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model
from enthesis.network.tables import from_table

FOLDER = Path(__file__).parents[2] / "validation" / "cinema"
PEER = json.loads((FOLDER / "cinema.json").read_text(encoding="utf-8"))
TABLE = pd.read_csv(FOLDER / "diabetes.csv")
LEVELS = dict(zip(TABLE["study"], TABLE["rob"], strict=True))


@cache
def fitted():
    network = from_table(TABLE[["study", "treatment", "events", "n"]], measure="RD", reference="ACE")
    return fit(network, Model(heterogeneity=Common()), engine="gls")


@cache
def our_contributions():
    pairs = [tuple(name.split(":")) for name in PEER["contributions"]]
    return study_contributions(fitted(), comparisons=pairs)[PEER["studies"]].to_numpy()


@pytest.mark.parametrize("rule", ["average", "majority", "highest"])
@pytest.mark.parametrize("name", list(PEER["within_study_bias"]))
def test_within_study_bias_is_judged_as_cinema_judged_it(name, rule):
    at = list(PEER["contributions"]).index(name)
    for shares in (np.array(PEER["contributions"][name]) / 100, our_contributions()[at]):
        found = weighed("within-study bias", LEVELS, dict(zip(PEER["studies"], shares, strict=True)), rule)
        assert found.steps + 1 == PEER["within_study_bias"][name][rule]


def test_contributions_are_cinemas_within_what_the_order_of_paths_changes():
    gap = np.abs(our_contributions() - np.array(list(PEER["contributions"].values())) / 100)
    assert gap.mean() < 0.004
    assert gap.max() < 0.06


def test_direct_against_indirect_evidence_has_cinemas_printed_digits():
    split = node_splits(fitted())
    row = split[(split["treatment"] == "BBlocker") & (split["comparator"] == "ACE")].iloc[0]
    printed = PEER["estimates"]["ACE:BBlocker"]
    for name, ours in (("NMA", -row["network"]), ("direct", -row["direct"]), ("indirect", -row["indirect"]),
                       ("difference", -row["difference"]), ("proportion", row["proportion"])):  # fmt: skip
        assert ours == pytest.approx(printed[name], abs=5e-5)
    assert -row["z"] == pytest.approx(printed["z"], abs=5e-4)
