"""Network meta-regression: relative effects that change with a study's covariate or with its baseline.

Study i, arm k: eta[i,k] gains (beta[t(k)] - beta[t(1)]) x[i], with beta[reference] = 0 and x centred. `interactions`
says how the beta of different treatments are related (NICE DSU TSD 3; Cooper NJ et al., Stat Med 2009;28:1861):

- `common`: one beta for all treatments against the reference (comparisons between them are not modified);
- `independent`: one beta each;
- `exchangeable`: beta[t] ~ Normal(B, sd²);
- `class`: one beta per class.

`BaselineRisk` puts the study's own baseline mu in the place of x, which is then a parameter, not data with error
ignored (Achana FA et al., Stat Med 2013;32:752).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from enthesis.models.priors import HalfNormal, Normal, Prior

Interactions = Literal["common", "independent", "exchangeable", "class"]


@dataclass(frozen=True, kw_only=True)
class Regression:
    """Effects modified by a study-level covariate.

    Parameters
    ----------
    covariate : str
        A key of `network.covariates`.
    interactions : {"common", "independent", "exchangeable", "class"}
    centre : float or None
        Value of the covariate at which d is read; None: the mean over studies.
    scale : float
        Divides the centred covariate, so that beta is per `scale` units.
    prior : Normal
        Of beta, or of its mean B.
    sd : Prior
        Of the standard deviation of exchangeable beta, `regression_sd`.

    Examples
    --------
    >>> Regression(covariate="year").interactions
    'common'
    """

    covariate: str
    interactions: Interactions = "common"
    centre: float | None = None
    scale: float = 1.0
    prior: Normal = field(default=Normal(0, 100))
    sd: Prior = field(default=HalfNormal(1.0))


@dataclass(frozen=True, kw_only=True)
class BaselineRisk:
    """Effects modified by the study's own baseline, on the scale of the linear predictor.

    The baseline is the first arm's linear predictor, and the effect of every other arm varies around the line with
    variance tau². In a study of three or more arms these deviations are taken as independent given the baseline, and
    not with the correlation 1/2 that other models have.

    Parameters
    ----------
    interactions : {"common", "independent", "exchangeable", "class"}
    centre : float or None
        Baseline at which d is read; None: the mean of the observed baselines of arms with the reference.
    prior : Normal
        Of beta, or of its mean B.
    sd : Prior
        Of the standard deviation of exchangeable beta, `regression_sd`.

    Examples
    --------
    >>> BaselineRisk().interactions
    'common'
    """

    interactions: Interactions = "common"
    centre: float | None = None
    prior: Normal = field(default=Normal(0, 100))
    sd: Prior = field(default=HalfNormal(1.0))


AnyRegression = Regression | BaselineRisk
