"""enthesis: living evidence synthesis, every number one click from its source.

Names are loaded when they are first used (PEP 562), so that importing enthesis costs nothing and the statistical core
works where only NumPy and SciPy are installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from enthesis.assess.baseline import fit_baseline
    from enthesis.assess.compare_models import compare_models
    from enthesis.assess.components import combination_effects, component_effects
    from enthesis.assess.node_split_table import node_split_table
    from enthesis.errors import DataError, EnthesisError
    from enthesis.estimands import (
        absolute_effects,
        fit_json,
        league,
        parameters,
        predictive_effects,
        probability,
        ranks,
        relative_effects,
    )
    from enthesis.evidence import Store, bundled_evidence, load_tables
    from enthesis.inference.fit import Fit, fit
    from enthesis.inference.glmm import mixed_model
    from enthesis.inference.locscale import location_scale
    from enthesis.inference.metareg import meta_regression
    from enthesis.inference.metareg_tests import cluster_robust, permutation_test
    from enthesis.inference.stratified import mantel_haenszel, peto
    from enthesis.living.multiverse import multiverse
    from enthesis.living.review import run_review
    from enthesis.models.baseline import BaselineModel
    from enthesis.models.consistency import DesignByTreatment, NodeSplit, UnrelatedMeanEffects
    from enthesis.models.effects import ClassEffects, Components, PerTreatment
    from enthesis.models.file import model_toml, read_model
    from enthesis.models.heterogeneity import Common, Exchangeable
    from enthesis.models.model import Model
    from enthesis.models.priors import (
        HalfCauchy,
        HalfNormal,
        LogNormal,
        LogStudentT,
        Normal,
        OnVariance,
        Uniform,
        parse_prior,
    )
    from enthesis.models.published import rhodes, turner, turner2012
    from enthesis.models.regression import BaselineRisk, Regression
    from enthesis.network.build import build
    from enthesis.network.combine import combine
    from enthesis.network.comparison import cells, study_effects
    from enthesis.network.measures import HR, IRR, MD, OR, RD, RR, SMD, ContinuityCorrection
    from enthesis.network.network import Network
    from enthesis.network.question import Question
    from enthesis.network.tables import from_table

#: the module that each public name lives in
_HOME = {
    "enthesis.assess.components": ("combination_effects", "component_effects"),
    "enthesis.errors": ("DataError", "EnthesisError"),
    "enthesis.estimands": (
        "absolute_effects",
        "fit_json",
        "league",
        "parameters",
        "predictive_effects",
        "probability",
        "ranks",
        "relative_effects",
    ),
    "enthesis.evidence": ("Store", "bundled_evidence", "load_tables"),
    "enthesis.assess.baseline": ("fit_baseline",),
    "enthesis.inference.fit": ("Fit", "fit"),
    "enthesis.inference.glmm": ("mixed_model",),
    "enthesis.inference.locscale": ("location_scale",),
    "enthesis.inference.metareg": ("meta_regression",),
    "enthesis.inference.metareg_tests": ("cluster_robust", "permutation_test"),
    "enthesis.inference.stratified": ("mantel_haenszel", "peto"),
    "enthesis.living.multiverse": ("multiverse",),
    "enthesis.living.review": ("run_review",),
    "enthesis.models.effects": ("ClassEffects", "Components", "PerTreatment"),
    "enthesis.models.heterogeneity": ("Common", "Exchangeable"),
    "enthesis.models.model": ("Model",),
    "enthesis.models.priors": (
        "HalfCauchy",
        "HalfNormal",
        "LogNormal",
        "LogStudentT",
        "Normal",
        "OnVariance",
        "Uniform",
        "parse_prior",
    ),
    "enthesis.network.build": ("build",),
    "enthesis.network.combine": ("combine",),
    "enthesis.network.comparison": ("cells", "study_effects"),
    "enthesis.network.measures": ("ContinuityCorrection", "HR", "IRR", "MD", "OR", "RD", "RR", "SMD"),
    "enthesis.network.network": ("Network",),
    "enthesis.network.question": ("Question",),
    "enthesis.network.tables": ("from_table",),
    "enthesis.assess.compare_models": ("compare_models",),
    "enthesis.assess.node_split_table": ("node_split_table",),
    "enthesis.models.consistency": (
        "DesignByTreatment",
        "NodeSplit",
        "UnrelatedMeanEffects",
    ),
    "enthesis.models.baseline": ("BaselineModel",),
    "enthesis.models.file": (
        "model_toml",
        "read_model",
    ),
    "enthesis.models.published": (
        "rhodes",
        "turner",
        "turner2012",
    ),
    "enthesis.models.regression": (
        "BaselineRisk",
        "Regression",
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "HR",
    "IRR",
    "MD",
    "OR",
    "RD",
    "RR",
    "SMD",
    "BaselineModel",
    "BaselineRisk",
    "ClassEffects",
    "Common",
    "Components",
    "ContinuityCorrection",
    "DataError",
    "DesignByTreatment",
    "EnthesisError",
    "Exchangeable",
    "Fit",
    "HalfCauchy",
    "HalfNormal",
    "LogNormal",
    "LogStudentT",
    "Model",
    "Network",
    "NodeSplit",
    "Normal",
    "OnVariance",
    "PerTreatment",
    "Question",
    "Regression",
    "Store",
    "Uniform",
    "UnrelatedMeanEffects",
    "absolute_effects",
    "build",
    "bundled_evidence",
    "cells",
    "cluster_robust",
    "combination_effects",
    "combine",
    "compare_models",
    "component_effects",
    "fit",
    "fit_baseline",
    "fit_json",
    "from_table",
    "league",
    "load_tables",
    "location_scale",
    "mantel_haenszel",
    "meta_regression",
    "mixed_model",
    "model_toml",
    "multiverse",
    "node_split_table",
    "parameters",
    "parse_prior",
    "permutation_test",
    "peto",
    "predictive_effects",
    "probability",
    "ranks",
    "read_model",
    "relative_effects",
    "rhodes",
    "run_review",
    "study_effects",
    "turner",
    "turner2012",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'enthesis' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
