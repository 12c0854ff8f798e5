"""The catalogue: one or more examples of every part that a user chooses among.

Conformance tests (tests/conformance/) run over these lists; tests/test_catalogue.py fails when the package has a part
that is not listed here. To add a part, add an example; to add a kind of part, add a `Kind`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from enthesis.models.baseline import Independent
from enthesis.models.consistency import Consistent, DesignByTreatment, NodeSplit, UnrelatedMeanEffects
from enthesis.models.effects import ClassEffects, Components, PerTreatment
from enthesis.models.heterogeneity import Common, Exchangeable
from enthesis.models.likelihoods import Binomial, Gaussian, Ordered, Poisson
from enthesis.models.links import Cloglog, Identity, Log, Logit, Probit
from enthesis.models.priors import HalfCauchy, HalfNormal, LogNormal, LogStudentT, Normal, OnVariance, Uniform
from enthesis.models.regression import BaselineRisk, Regression
from enthesis.network import measures
from enthesis.network.blocks import ArmCounts, ArmFollowUp, ArmLevels, ArmMeans, ArmRates, Contrasts


@dataclass(frozen=True)
class Kind:
    """A kind of part.

    Parameters
    ----------
    home : str
        The module, below `enthesis`, whose public classes are these parts.
    examples : tuple
        At least one of every class.
    beside : tuple of str
        Public classes of that module that are no choice of the user, but serve the others.
    """

    home: str
    examples: tuple[Any, ...]
    beside: tuple[str, ...] = ()


LINKS = (Identity(), Log(), Logit(), Probit(), Cloglog())
PRIORS = (
    Normal(0, 100),
    Normal(-0.5, 2),
    Uniform(0, 5),
    Uniform(-1, 3),
    HalfNormal(0.5),
    HalfCauchy(0.7),
    LogNormal(-1.2, 0.6),
    LogStudentT(-1.2, 0.6, 5),
    OnVariance(LogStudentT(-3.44, 2.59, 5)),
    OnVariance(LogNormal(-3.93, 1.51)),
    OnVariance(Uniform(0, 4)),
    OnVariance(HalfNormal(1.0)),
)
LIKELIHOODS = (
    Binomial(Logit()),
    Binomial(Cloglog()),
    Binomial(Probit()),
    Binomial(Log()),
    Poisson(),
    Gaussian(),
)
#: without density above a linear predictor
BOUNDED = (Binomial(Log()),)
#: with cutpoints beside the linear predictor
ORDERED = (Ordered(Probit()), Ordered(Logit()))
HETEROGENEITIES = (
    Common(),
    Exchangeable(sd=HalfNormal(1.0)),
    Exchangeable(sd=Uniform(0, 5)),
    Exchangeable(by="class"),
)
EFFECTS = (PerTreatment(), ClassEffects(), Components())
CONSISTENCIES = (Consistent(), NodeSplit(treatment="B", comparator="A"), UnrelatedMeanEffects(), DesignByTreatment())
REGRESSIONS = (Regression(covariate="x"), BaselineRisk())
BASELINES = (Independent(),)
_TWO = np.array([0, 0]), np.array([0, 1])
_NUMBERS = np.array([4.0, 9.0]), np.array([50.0, 52.0])
BLOCKS = (
    ArmCounts(study=_TWO[0], treatment=_TWO[1], r=_NUMBERS[0], n=_NUMBERS[1]),
    ArmMeans(study=_TWO[0], treatment=_TWO[1], y=_NUMBERS[0], se=np.ones(2), sd=np.full(2, 7.0), n=_NUMBERS[1]),
    ArmRates(study=_TWO[0], treatment=_TWO[1], r=_NUMBERS[0], E=_NUMBERS[1]),
    ArmFollowUp(study=_TWO[0], treatment=_TWO[1], r=_NUMBERS[0], n=_NUMBERS[1], E=np.array([2.0, 2.0])),
    ArmLevels(study=_TWO[0], treatment=_TWO[1], r=np.array([[9.0, 4.0], [20.0, np.nan]]), n=_NUMBERS[1]),
    Contrasts(
        study=np.array([0]), treatment=np.array([1]), comparator=np.array([0]), y=np.array([0.4]), se=np.array([0.2]),
        se_comparator=np.array([np.nan]),
    ),
)  # fmt: skip

KINDS = {
    "link": Kind("models.links", LINKS),
    "prior": Kind("models.priors", PRIORS),
    "likelihood": Kind("models.likelihoods", LIKELIHOODS + ORDERED),
    "heterogeneity": Kind("models.heterogeneity", HETEROGENEITIES),
    "effects": Kind("models.effects", EFFECTS, beside=("Layout",)),
    "consistency": Kind("models.consistency", CONSISTENCIES),
    "regression": Kind("models.regression", REGRESSIONS),
    "baseline": Kind("models.baseline", BASELINES, beside=("BaselineModel",)),
    "block": Kind("network.blocks", BLOCKS),
}

#: modules of `models` that hold no parts: the model itself, and what compiles it
MODELS_BESIDE = (
    "model", "target", "compile", "additions", "published", "file",
    # borrowing and cross-design synthesis are about one effect, without a network: see inference/borrowing.py, bias.py
    "one_parameter", "mixtures", "borrowing", "designs", "overlap",
)  # fmt: skip

MEASURES = (
    measures.OR,
    measures.RR,
    measures.RD,
    measures.ASD,
    measures.PROBIT,
    measures.MD,
    measures.SMD,
    measures.SMDH,
    measures.ROM,
    measures.IRR,
    measures.IRD,
    measures.HR,
    measures.EFFECT,
)
ENGINES = ("gls", "laplace", "nuts", "mh", "nch", "nch-approximate", "plr")
LAYOUTS = ("arm_per_row", "arms_across", "contrast_per_row", "contrast_to_baseline")
#: every command as it is typed
COMMANDS = (
    "review run",
    "review list",
    "update",
    "conclusions",
    "diff",
    "fit",
    "compare-models",
    "consistency",
    "contribution",
    "ranks",
    "influence",
    "funnel",
    "monitor",
    "place",
    "benefit-risk",
    "threshold",
    "multiverse",
    "borrow",
    "rates",
    "safety",
    "certainty rate",
    "certainty judge",
    "sof",
    "rob tools",
    "rob import",
    "rob export",
    "rob plot",
    "evidence load",
    "evidence summary",
    "evidence show",
    "evidence explain",
    "prisma",
    "import pubmed",
    "import ris",
    "import nbib",
    "import cochrane",
    "import revman",
    "import table",
    "import template",
    "records list",
    "records duplicates",
    "records links",
    "records watch",
    "records write",
    "screen next",
    "screen decide",
    "screen curve",
    "screen export",
    "screen import",
    "forecast",
    "lint check",
    "lint settle",
    "lint list",
    "import ctgov",
    "import ctgov-search",
    "import ctgov-questions",
    "import ctgov-answer",
)
