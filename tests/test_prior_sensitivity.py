"""Power-scaling tells what was stated beforehand from what the data say."""

import numpy as np

import enthesis as en
from enthesis.inference.criticism import prior_sensitivity
from enthesis.models.effects import ClassEffects
from enthesis.models.priors import HalfNormal, Normal, Uniform
from enthesis.network.network import Treatment


def test_a_hierarchy_is_model_and_only_the_priors_at_its_top_are_scaled():
    # two drugs that the data set far apart and their class holds together: a strong pull, but no prior
    rows = [
        dict(study=s, treatment=t, comparator="A", effect=y, se=0.3) for s, t, y in (("1", "B", 0.0), ("2", "C", 1))
    ]
    network = en.from_table(rows, measure="MD", reference="A")
    network = network.replace(
        treatments=tuple(Treatment(name=t.name, drug_class="k" if t.name != "A" else "") for t in network.treatments)
    )
    vague = en.Model(effects=ClassEffects(sd=Uniform(0.29, 0.31), prior=Normal(0, 100)), heterogeneity=en.Common())
    table = prior_sensitivity(en.fit(network, vague, engine="laplace")).set_index("parameter")
    assert (table.loc[["d[B]", "d[C]"], "prior"] < 0.05).all()
    assert np.all(table.loc[["d[B]", "d[C]"], "likelihood"] > 0.1)


def test_a_narrow_prior_far_from_the_data_is_found():
    rows = [dict(study=str(i), treatment="B", comparator="A", effect=1.0, se=0.5) for i in range(3)]
    network = en.from_table(rows, measure="MD", reference="A")
    narrow = en.Model(effects=en.PerTreatment(prior=Normal(0, 0.3)), heterogeneity=en.Exchangeable(sd=HalfNormal(0.1)))
    table = prior_sensitivity(en.fit(network, narrow, engine="laplace")).set_index("parameter")
    assert table.loc["d[B]", "diagnosis"] == "prior and data disagree"
