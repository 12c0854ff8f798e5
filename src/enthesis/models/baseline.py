"""Baselines: the level of each study's first arm, mu[i], on the scale of the linear predictor."""

from __future__ import annotations

from dataclasses import dataclass, field

from enthesis.models.priors import Normal


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


Baseline = Independent
