"""Additive components: when they are the standard model, when they link parts of a network, and when they cannot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enthesis.assess.components import combination_effects, component_effects
from enthesis.errors import ModelError, NotConnected, UsageError
from enthesis.estimands import relative_effects
from enthesis.inference.fit import fit
from enthesis.models.effects import Components
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model
from enthesis.network.tables import from_table

TRUTH = {"placebo": 0.0, "A": 1.0, "B": 0.5, "C": -0.3}


def network(*studies, reference=None):
    """Studies as lists of treatments; means follow from the truth without error."""
    rows = [
        dict(study=f"s{i}", treatment=t, mean=5.0 * i + sum(TRUTH[p] for p in t.split(" + ")), sd=1.0, n=40)
        for i, arms in enumerate(studies)
        for t in arms
    ]
    return from_table(rows, measure="MD", reference=reference or studies[0][0])


def additive(network, *, inactive="placebo", engine="gls", common=True):
    model = Model(effects=Components(inactive=inactive))
    return fit(network, model.replace(heterogeneity=Common()) if common else model, engine=engine)


CONNECTED = (["placebo", "A"], ["placebo", "B"], ["placebo", "A + B"], ["A", "A + C"])
APART = (["placebo", "A"], ["B", "A + C"], ["B", "A + B + C"])


def test_effects_of_components_are_found():
    table = component_effects(additive(network(*CONNECTED))).set_index("component")
    assert table.estimate.to_dict() == pytest.approx({"A": 1.0, "B": 0.5, "C": -0.3})


def test_single_components_are_the_standard_model():
    n = network(["placebo", "A"], ["placebo", "B"], ["A", "B"], ["A", "C"])
    one, two = additive(n), fit(n, Model(heterogeneity=Common()), engine="gls")
    assert one.covariance == pytest.approx(two.covariance)
    assert pytest.approx(two.heterogeneity.Q, abs=1e-9) == one.heterogeneity.Q


def test_parts_without_a_common_study_are_linked_by_their_components():
    n = network(*APART)
    with pytest.raises(NotConnected):
        fit(n, engine="gls")
    estimates = relative_effects(additive(n), "placebo").set_index("treatment").estimate
    assert estimates["A + C"] == pytest.approx(0.7)


def test_a_disconnected_network_has_no_test_of_additivity():
    assert np.isnan(additive(network(*APART)).diagnostics["additivity_Q"])


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["placebo", "A", "B", "A + B", "A + C"]))
def test_comparisons_do_not_depend_on_the_reference(reference):
    one, two = (additive(network(*CONNECTED, reference=name)) for name in ("placebo", reference))
    a, b = (x.estimate[:, None] - x.estimate for x in (one, two))
    assert a == pytest.approx(b, abs=1e-9)


def test_what_nothing_links_is_named():
    with pytest.raises(NotConnected, match=r"estimable: B, C\b"):
        additive(network(["placebo", "A"], ["B", "C"]))


def test_a_component_that_the_studies_cannot_tell_is_empty_and_not_guessed():
    # A and B are only given together: their sum is known, neither alone
    table = component_effects(additive(network(["placebo", "A + B"], ["placebo", "C"]))).set_index("component")
    assert table.estimable.to_dict() == {"A": False, "B": False, "C": True}
    assert np.isnan(table.estimate["A"])


def test_a_combination_that_no_study_gave_has_an_effect():
    table = combination_effects(additive(network(*CONNECTED)), ["A + B + C", "B + C"], "A")
    assert table.estimate.tolist() == pytest.approx([0.2, -0.8])


def test_combinations_may_name_the_inactive_component():
    result = additive(network(*CONNECTED))
    assert combination_effects(result, ["A + placebo"]).estimate[0] == pytest.approx(1.0)


def test_an_unknown_component_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="component 'D'"):
        combination_effects(additive(network(*CONNECTED)), ["A + D"])


def test_an_unknown_inactive_component_is_refused():
    with pytest.raises(UsageError, match=r"component 'plcebo' is not known\. Did you mean 'placebo'"):
        additive(network(*CONNECTED), inactive="plcebo")


def test_the_additivity_test_finds_an_interaction():
    rows = [dict(study=s, treatment=t, mean=m, sd=1, n=50) for s, t, m in (
        ("1", "placebo", 0.0), ("1", "A", 1.0), ("2", "placebo", 0.0), ("2", "B", 1.0), ("3", "placebo", 0.0),
        ("3", "A + B", 0.0))]  # fmt: skip
    result = additive(from_table(rows, measure="MD", reference="placebo"))
    assert (result.diagnostics["additivity_df"], result.diagnostics["additivity_p"] < 0.01) == (1, True)


def test_the_bayesian_engine_agrees_with_flat_priors():
    n = network(*APART)
    one, two = additive(n), additive(n, engine="laplace")
    assert two.estimate == pytest.approx(one.estimate, abs=0.01)
    table = component_effects(two).set_index("component")
    assert table.estimate["A"] == pytest.approx(1.0, abs=0.01)


def test_a_fit_without_components_has_no_component_effects():
    with pytest.raises(ModelError, match="one effect per treatment"):
        component_effects(fit(network(*CONNECTED), engine="gls"))


def test_other_engines_refuse_components():
    with pytest.raises(ModelError, match="one effect per treatment"):
        fit(network(*CONNECTED), Model(effects=Components(), heterogeneity=Common()), engine="mh")
