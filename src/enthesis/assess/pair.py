"""Two treatments, many studies: the effects of one comparison as arrays, and their regression on a study covariate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enthesis.errors import UsageError
from enthesis.inference.regression import solve, tau2_estimate
from enthesis.network.blocks import ArmCounts
from enthesis.network.comparison import compared, study_effects
from enthesis.network.measures import Measure
from enthesis.network.network import Network

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PairEffects:
    """The studies of one comparison.

    Parameters
    ----------
    treatment, comparator : str
        Effects are treatment minus comparator.
    measure : Measure
    study : tuple of str
    y, v : float arrays, shape (studies,)
        Effect on the measure's scale and its variance.
    n : float array, shape (studies,)
        Patients of both arms; NaN where the table does not say.
    events, patients : float arrays, shape (studies, 2), or None
        Of treatment and comparator; None unless every study has counts.
    """

    treatment: str
    comparator: str
    measure: Measure
    study: tuple[str, ...]
    y: Array
    v: Array
    n: Array
    events: Array | None = None
    patients: Array | None = None

    def __len__(self) -> int:
        return len(self.study)

    def require(self, least: int, what: str) -> None:
        """Raise UsageError unless there are enough studies."""
        if len(self) < least:
            raise UsageError(
                f"{what} needs at least {least} studies of one comparison; {self.treatment} versus {self.comparator} "
                f"has {len(self)}. Choose a comparison with more studies."
            )


def pair_effects(network: Network, treatment: str | None = None, comparator: str | None = None) -> PairEffects:
    """The studies that compare two treatments directly.

    Parameters
    ----------
    network : Network
    treatment, comparator : str, optional
        Needed when the network has more than two treatments; by default the comparator is the reference.

    Returns
    -------
    PairEffects
        In the network's order of studies; a study with more arms gives the contrast of these two.

    Raises
    ------
    UsageError
        When no comparison is named and there are several.
    DataError
        When no study compares the two.

    Examples
    --------
    >>> import enthesis as en
    >>> network = en.from_table([dict(study=s, treatment=t, mean=m, sd=1, n=50) for s in "12"
    ...                          for t, m in (("A", 0.0), ("B", 0.5))], measure="MD", reference="A")
    >>> pair_effects(network).y.tolist()
    [0.5, 0.5]
    """
    a, b = compared(network, treatment, comparator)
    frame = study_effects(network, network.treatment_names[a], network.treatment_names[b])
    at = {name: i for i, name in enumerate(network.studies)}
    patients, events = _arms(network, [at[name] for name in frame["study"]], a, b)
    counted = bool(np.isfinite(events).all())
    return PairEffects(
        treatment=network.treatment_names[a], comparator=network.treatment_names[b], measure=network.measure,
        study=tuple(frame["study"]), y=frame["effect"].to_numpy(), v=frame["variance"].to_numpy(),
        n=patients.sum(axis=1), patients=patients if counted else None, events=events if counted else None,
    )  # fmt: skip


def _arms(network: Network, studies: list[int], a: int, b: int) -> tuple[Array, Array]:
    """Patients and events of both arms, shape (studies, 2), NaN where the network does not hold them."""
    n, r = np.full((len(studies), 2), np.nan), np.full((len(studies), 2), np.nan)
    at = {study: i for i, study in enumerate(studies)}
    for block in network.blocks:
        if getattr(block, "n", None) is None:
            continue
        for side, treatment in enumerate((a, b)):
            for row in np.flatnonzero(block.treatment == treatment):
                study = at.get(int(block.study[row]))
                if study is not None:
                    n[study, side] = block.n[row]
                    if isinstance(block, ArmCounts):
                        r[study, side] = block.r[row]
    return n, r


@dataclass(frozen=True, kw_only=True)
class Regression:
    """Coefficients of a weighted regression, their covariance, between-study variance, residual Q at tau = 0."""

    beta: Array
    cov: Array
    tau2: float
    Q: float
    df: int


def regression(y: Array, v: Array, X: Array | None = None, *, tau: str = "REML") -> Regression:
    """Random-effects (meta-)regression of independent effects.

    Parameters
    ----------
    y, v : float arrays, shape (studies,)
    X : float array, shape (studies, p), optional
        Default: an intercept, which makes it the pairwise meta-analysis.
    tau : str
        An estimator of `inference.regression`, or "common" for tau = 0.

    Returns
    -------
    Regression

    Raises
    ------
    UsageError
        When a covariate does not differ between studies, or the estimator is unknown.
    """
    X = np.ones((len(y), 1)) if X is None else X
    if np.linalg.matrix_rank(X) < X.shape[1]:
        raise UsageError("the covariate has the same value in every study, so its slope cannot be estimated.")
    tau2 = 0.0 if tau == "common" else tau2_estimate(y, v, X, tau)
    now = solve(y, X, 1 / (v + tau2))
    return Regression(beta=now.beta, cov=now.cov, tau2=tau2, Q=solve(y, X, 1 / v).rss, df=len(y) - X.shape[1])
