"""A posterior without a study by weights: what a refit gives, or no answer."""

import numpy as np
import pandas as pd
import pytest

import enthesis as en
from enthesis.assess.leave_out import leave_one_study_out
from enthesis.assess.reweighted import LEAST_DRAWS, without_studies_by_weights
from enthesis.inference.diagnostics import PARETO_K_LIMIT
from enthesis.network.subset import without_study
from published import TABLES


@pytest.fixture(scope="module")
def smoking():
    table = pd.read_csv(TABLES / "hasselblad1998.csv")[["study", "trt", "xi", "ni"]]
    table.columns = ["study", "treatment", "events", "n"]
    return en.from_table(table, measure="OR", reference="no_contact")


MODELS = {
    "counts": en.Model(),
    "contrasts": en.Model(likelihood="contrasts"),
    "common": en.Model(heterogeneity=en.Common(), likelihood="contrasts"),
}


@pytest.mark.parametrize("name", ["counts", "contrasts"])
def test_weights_give_what_a_refit_gives(smoking, name):
    fit = en.fit(smoking, MODELS[name])
    networks = [without_study(smoking, i) for i in range(smoking.n_studies)]
    found = without_studies_by_weights(fit, networks)
    assert sum(f is not None for f in found) > 15
    for i in (2, 6, 12, 20):
        if found[i] is None:
            continue
        again = en.fit(networks[i], fit.model)
        np.testing.assert_allclose(found[i].estimate, again.estimate, atol=0.03)
        np.testing.assert_allclose(np.sqrt(np.diag(found[i].covariance)), np.sqrt(np.diag(again.covariance)), atol=0.03)
        assert found[i].tau.estimate == pytest.approx(again.tau.estimate, abs=0.02)
        assert found[i].tau.upper == pytest.approx(again.tau.upper, abs=0.06)
        np.testing.assert_allclose(found[i].heterogeneity.Q, again.heterogeneity.Q)


def test_a_study_that_decides_is_not_answered_by_weights(smoking):
    # with common effects one large study moves the posterior by many standard deviations
    fit = en.fit(smoking, MODELS["common"])
    found = without_studies_by_weights(fit, [without_study(smoking, i) for i in range(smoking.n_studies)])
    assert found[0] is None
    for f in filter(None, found):
        assert f.diagnostics["pareto_k"] <= PARETO_K_LIMIT
        assert f.diagnostics["effective_sample_size"] >= LEAST_DRAWS


def test_a_study_that_holds_the_network_together_is_not_answered_by_weights():
    rows = [{"study": s, "treatment": t, "events": r, "n": 80} for s, pair in (("1", "AB"), ("2", "AB"), ("3", "BC"))
            for t, r in zip(pair, (10, 20), strict=True)]  # fmt: skip
    network = en.from_table(rows, measure="OR", reference="A")
    table = leave_one_study_out(en.fit(network))
    lost = table[table["left_out"] == "3"].set_index("treatment")
    assert not lost.loc["C", "ok"]
    assert lost.loc["B", "ok"]
    assert "no chain of studies links C" in lost.loc["C", "message"]


def test_leaving_out_is_exact_where_weights_fail(smoking):
    model = MODELS["common"]
    table = leave_one_study_out(en.fit(smoking, model))
    again = en.fit(without_study(smoking, 0), model)
    row = table[(table["left_out"] == smoking.studies[0]) & (table["treatment"] == "self_help")].iloc[0]
    assert row["estimate"] == pytest.approx(again.estimate[again.network.index("self_help")])
