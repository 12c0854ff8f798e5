"""The model: what is believed, as a value made of parts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from enthesis.hashing import content_hash
from enthesis.models.baseline import Baseline, Independent
from enthesis.models.consistency import Consistency, Consistent, DesignByTreatment, NodeSplit, UnrelatedMeanEffects
from enthesis.models.effects import ClassEffects, Components, Effects, PerTreatment
from enthesis.models.heterogeneity import Exchangeable, Heterogeneity
from enthesis.models.likelihoods import LikelihoodChoice
from enthesis.models.priors import Normal, Prior
from enthesis.models.regression import AnyRegression, Regression


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network meta-analysis model.

    Parameters
    ----------
    effects : PerTreatment, ClassEffects or Components
        What the relative effects are made of.
    heterogeneity : Common or Exchangeable
        Whether study effects vary around them. The default is random effects.
    baseline : Independent
        Study baselines; used by models of arm data only.
    consistency : Consistent, NodeSplit, UnrelatedMeanEffects or DesignByTreatment
        Whether direct and indirect evidence agree.
    regression : Regression, BaselineRisk or None
        Whether effects change with a covariate or with the study's baseline.
    likelihood : {"usual", "exact", "contrasts"}
        `usual`: the exact likelihood of the arms for OR, PROBIT, HR, IRR and MD, normal contrasts for other measures;
        `exact`: also the binomial with a log link for RR; `contrasts`: normal contrasts for all measures.

    Examples
    --------
    >>> from enthesis.models.heterogeneity import Common
    >>> Model().replace(heterogeneity=Common()).describe()
    'common effects; d ~ normal(0, 100)'
    """

    effects: Effects = field(default=PerTreatment())
    heterogeneity: Heterogeneity = field(default=Exchangeable())
    baseline: Baseline = field(default=Independent())
    consistency: Consistency = field(default=Consistent())
    regression: AnyRegression | None = None
    likelihood: LikelihoodChoice = "usual"

    def replace(self, **changes) -> Model:
        """The same model with some parts changed."""
        return replace(self, **changes)

    @property
    def content_hash(self) -> str:
        """Identity of the model."""
        parts = (self.effects, self.heterogeneity, self.baseline, self.consistency, self.regression, self.likelihood)
        return content_hash(("Model", *parts))

    def describe(self) -> str:
        """One line in words."""
        random = isinstance(self.heterogeneity, Exchangeable)
        start = f"random effects, tau ~ {self.heterogeneity.sd}" if random else "common effects"
        if random and self.heterogeneity.by == "class":
            start = f"random effects, tau of each class ~ {self.heterogeneity.sd}"
        text = f"{start}; d ~ {self.effects.prior}"
        if isinstance(self.effects, ClassEffects):
            text = f"{start}; treatments exchangeable within class, class_sd ~ {self.effects.sd}"
        if isinstance(self.effects, Components):
            text = f"{start}; additive components, each ~ {self.effects.prior}"
        if not isinstance(self.consistency, Consistent):
            text += f"; {_words(self.consistency)}"
        if self.regression is not None:
            text += f"; {_words(self.regression)}"
        if self.likelihood != "usual":
            text += "; normal contrasts" if self.likelihood == "contrasts" else "; exact likelihood"
        return text


def _words(part: Consistency | AnyRegression) -> str:
    """A part of a model in words."""
    match part:
        case NodeSplit():
            return f"direct evidence on {part.treatment} versus {part.comparator} apart"
        case UnrelatedMeanEffects():
            return "unrelated mean effects"
        case DesignByTreatment():
            return f"design-by-treatment inconsistency, sd ~ {part.sd}"
        case Regression():
            return f"effects change with {part.covariate}, {part.interactions} interactions"
        case _:
            return f"effects change with the study's baseline, {part.interactions} interactions"


def random_effects(*, prior_tau: Prior | None = None, prior_d: Normal | None = None) -> Model:
    """A random-effects model with given priors.

    Parameters
    ----------
    prior_tau, prior_d : Prior, optional
        Defaults: half-normal(1) for tau, normal(0, 100) for each effect.

    Returns
    -------
    Model

    Examples
    --------
    >>> from enthesis.models.priors import Uniform
    >>> random_effects(prior_tau=Uniform(0, 5)).heterogeneity.sd
    Uniform(lower=0, upper=5)
    """
    return Model(
        effects=PerTreatment(prior=prior_d) if prior_d else PerTreatment(),
        heterogeneity=Exchangeable(sd=prior_tau) if prior_tau else Exchangeable(),
    )
