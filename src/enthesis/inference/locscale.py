"""Location-scale meta-regression: moderators of the effect and of how much it varies.

y_i ~ Normal(x_i' beta, v_i + tau_i²) with log tau_i² = z_i' alpha (Viechtbauer W, López-López JA, Res Synth Methods
2022;13:697). alpha maximises the (restricted) likelihood with beta at its weighted estimate; its standard errors come
from the curvature there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import minimize

from enthesis.errors import DataError, unknown_name
from enthesis.inference import regression
from enthesis.inference.intervals import critical
from enthesis.inference.metareg import design, meta_regression
from enthesis.inference.result import Status

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
#: tau² below this part, or above its inverse, of the typical variance has run to a bound of the likelihood
_VANISHED = 1e-6


@dataclass(frozen=True, kw_only=True)
class LocationScale:
    """A location-scale model.

    Parameters
    ----------
    names, beta, cov : tuple of str, float arrays, shape (p,), (p, p)
        Coefficients of the effect.
    scale_names, alpha, scale_cov : tuple of str, float arrays, shape (q,), (q, q)
        Coefficients of log tau².
    tau2 : float array, shape (k,)
        Of each study.
    log_likelihood : float
    status : Status
    """

    names: tuple[str, ...]
    beta: Array
    cov: Array
    scale_names: tuple[str, ...]
    alpha: Array
    scale_cov: Array
    tau2: Array
    log_likelihood: float
    status: Status

    def coefficients(self) -> pd.DataFrame:
        """One row per coefficient: part (location, scale), name, estimate, se, statistic, p, lower, upper."""
        import pandas as pd

        frames = []
        for part, names, estimate, cov in (("location", self.names, self.beta, self.cov),
                                           ("scale", self.scale_names, self.alpha, self.scale_cov)):  # fmt: skip
            se = np.sqrt(np.diag(cov))
            half = critical(float("inf")) * se
            frames.append(pd.DataFrame({
                "part": part, "name": list(names), "estimate": estimate, "se": se, "statistic": estimate / se,
                "p": 2 * stats.norm.sf(np.abs(estimate / se)), "lower": estimate - half, "upper": estimate + half,
            }))  # fmt: skip
        return pd.concat(frames, ignore_index=True)


def location_scale(
    y: Any, v: Any, moderators: Any = None, scale: Any = None, *, tau: Literal["REML", "ML"] = "REML"
) -> LocationScale:
    """Regression of effects and of their heterogeneity on study characteristics.

    Parameters
    ----------
    y, v : arrays, shape (k,)
        Effects and their variances.
    moderators, scale : as in `meta_regression`, optional
        Of the effect, and of log tau². Both have an intercept.
    tau : {"REML", "ML"}

    Returns
    -------
    LocationScale
        With a status that says when the heterogeneity has no estimate (none at all, or none at some values).

    Raises
    ------
    DataError
        As `meta_regression`.

    Examples
    --------
    >>> result = location_scale([0.1, 0.9, -0.5, 1.2, 0.3, 0.4], [0.02] * 6, scale=[1, 1, 1, 1, 0, 0])
    >>> bool(result.alpha[1] > 0)
    True
    """
    if tau not in ("REML", "ML"):
        raise unknown_name("estimator of a location-scale model", tau, ("REML", "ML"))
    start = meta_regression(y, v, moderators, tau=tau)
    y, v, X = start.y, start.v, start.X
    Z, scale_names, _ = design(scale, k=start.k)
    if len(Z) != start.k or np.linalg.matrix_rank(Z) < Z.shape[1]:
        raise DataError(
            f"the scale coefficients {', '.join(scale_names)} cannot be told apart in {start.k} studies",
            fix="Give one row for each study, and leave out what is constant or follows from the others.",
        )
    # equal spreads make the steps of the optimiser equal; undone below
    spread = np.maximum(np.sqrt((Z**2).mean(0)), 1e-12)
    restricted = tau == "REML"

    def tau2(a: Array) -> Array:
        return np.exp(np.clip(Z @ (a / spread), -50, 50))

    def value(a: Array) -> float:
        return -regression.log_likelihood(y, v, X, tau2(a), restricted=restricted)

    def slope(a: Array) -> Array:
        t = tau2(a)
        now = regression.solve(y, X, 1 / (v + t))
        each = now.w**2 * (y - X @ now.beta) ** 2 - now.w
        if restricted:
            each += now.w**2 * np.einsum("ij,jk,ik->i", X, now.cov, X)
        return -0.5 * (Z / spread).T @ (each * t)

    first = np.linalg.lstsq(Z, np.full(start.k, np.log(max(start.tau2, 0.1 * float(np.median(v))))), rcond=None)[0]
    found = minimize(value, first * spread, jac=slope, method="BFGS", options={"gtol": 1e-9})
    a = found.x
    h = 1e-4
    curvature = np.stack([(slope(a + e) - slope(a - e)) / (2 * h) for e in h * np.eye(len(a))])
    curvature = 0.5 * (curvature + curvature.T) * np.outer(spread, spread)
    alpha = a / spread
    ratio = tau2(a) / float(np.median(v))
    bounded = ratio.min() > _VANISHED and ratio.max() < 1 / _VANISHED
    inside = bool(np.all(np.linalg.eigvalsh(curvature) > 0) and bounded)
    ok = inside and float(np.abs(slope(a)).max()) < 1e-4
    now = regression.solve(y, X, 1 / (v + tau2(a)))
    message = "Maximum (restricted) likelihood." if ok else (
        "The heterogeneity has no clear maximum: it vanishes for some values of the scale moderators. Leave some out, "
        "or use meta_regression."
    )  # fmt: skip
    return LocationScale(
        names=start.names, beta=now.beta, cov=now.cov, scale_names=scale_names, alpha=alpha,
        scale_cov=np.linalg.inv(curvature) if ok else np.full_like(curvature, np.nan), tau2=tau2(a),
        log_likelihood=-value(a), status=Status(ok=ok, message=message),
    )  # fmt: skip
