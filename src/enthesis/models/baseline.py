"""Baselines: the level of each study's first arm, mu[i], on the scale of the linear predictor.

`Independent` belongs to the model of relative effects. `BaselineModel` is a model of its own for the arms of one
treatment, from which absolute effects start (`assess.baseline`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from enthesis.models.priors import HalfNormal, Normal, Prior


@dataclass(frozen=True, kw_only=True)
class Independent:
    """One unrelated baseline per study.

    Parameters
    ----------
    prior : Normal
        Prior of each mu on the scale of the linear predictor.

    Examples
    --------
    >>> Independent().prior
    Normal(mean=0, sd=100)
    """

    prior: Normal = field(default=Normal(0, 100))


@dataclass(frozen=True, kw_only=True)
class BaselineModel:
    """Exchangeable baselines: mu[i] ~ Normal(m, s²) (NICE DSU TSD 5).

    Parameters
    ----------
    mean : Normal
        Prior of m on the scale of the linear predictor.
    sd : Prior
        Prior of s.

    Examples
    --------
    >>> str(BaselineModel().sd)
    'half-normal(1)'
    """

    mean: Normal = field(default=Normal(0, 100))
    sd: Prior = field(default=HalfNormal(1.0))


Baseline = Independent
