"""Do the designs of a network agree? Q and its decomposition, and the test that lets every design have its own effects.

With x_D the estimate of design D alone, V_D its covariance and d the network estimates, the common-effect Q splits into
heterogeneity between the studies of each design and inconsistency between designs,

    Q = Σ_D Q_D + Σ_D (x_D - d_D)' V_D⁻¹ (x_D - d_D),

and *detaching* a design (giving it effects of its own) takes e' (V_D - X C X')⁻ e from the second sum, e = x_D - d_D,
on as many degrees of freedom as that matrix has rank (Krahn U, Binder H, König J, BMC Med Res Methodol 2013;13:35). In
the random-effects design-by-treatment interaction model, tau² is estimated within designs only, by moments, and the
second sum is taken at that tau² (Higgins JPT et al., Res Synth Methods 2012;3:98; Jackson D et al., Stat Med
2014;33:3639). A star-shaped network has nothing to test, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import chi2

from enthesis.assess.aggregate import Array, ContrastFit, Designs, by_design, contrast_fit, design_name
from enthesis.inference import gls
from enthesis.inference.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

#: below this, a direction of a design has no indirect evidence: the network estimate repeats the design's own
NO_INDIRECT = 1e-8


@dataclass(frozen=True, kw_only=True)
class Test:
    """A chi-square statistic with its degrees of freedom; `p` is NaN when there are none."""

    __test__ = False
    Q: float
    df: int

    @property
    def p(self) -> float:
        """Upper tail probability."""
        return float(chi2.sf(self.Q, self.df)) if self.df > 0 else float("nan")

    def to_dict(self) -> dict[str, float]:
        """Q, df and p."""
        return {"Q": self.Q, "df": self.df, "p": self.p}


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """Q and where it comes from.

    Parameters
    ----------
    total, within, between : Test
        Common effects: all of Q, heterogeneity within designs, inconsistency between designs.
    interaction : Test
        Between designs at `tau_within`: the random-effects design-by-treatment interaction test.
    tau_within : float
        Between-study standard deviation within designs (moments); NaN when no design has two studies.
    """

    total: Test
    within: Test
    between: Test
    interaction: Test
    tau_within: float
    _designs: tuple[tuple[str, int, Test], ...]
    _detached: tuple[tuple[str, Test], ...]

    @cached_property
    def designs(self) -> pd.DataFrame:
        """Heterogeneity of each design: design, n_studies, Q, df, p."""
        import pandas as pd

        rows = [{"design": name, "n_studies": n, **test.to_dict()} for name, n, test in self._designs]
        return pd.DataFrame(rows, columns=["design", "n_studies", "Q", "df", "p"])

    @cached_property
    def detached(self) -> pd.DataFrame:
        """Inconsistency left when a design is detached: design, Q, df, p; only designs with indirect evidence."""
        import pandas as pd

        rows = [{"design": name, **test.to_dict()} for name, test in self._detached]
        return pd.DataFrame(rows, columns=["design", "Q", "df", "p"])

    @property
    def message(self) -> str:
        """What the tests say, in words."""
        if self.between.df == 0:
            return (
                "No two designs give evidence on the same comparison (no closed loop beyond single studies): "
                "consistency cannot be tested, and every estimate rests on the assumption that it holds."
            )
        text = (
            f"Inconsistency between designs: Q {self.between.Q:.2f} on {self.between.df} degrees of freedom, "
            f"p {_p(self.between.p)} (common effects)"
        )
        if np.isfinite(self.tau_within):
            text += (
                f"; p {_p(self.interaction.p)} allowing for heterogeneity within designs (tau {self.tau_within:.3g})"
            )
        return text + ". A large p-value is no proof of consistency: the test has little power in small networks."


def decomposition(fit: Fit) -> Decomposition:
    """Split Q into heterogeneity within and inconsistency between designs.

    Parameters
    ----------
    fit : Fit
        Any engine; the contrasts of its network are used.

    Returns
    -------
    Decomposition

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, comparator=c, effect=y, se=1.0)
    ...         for s, t, c, y in (("1", "B", "A", 1.0), ("2", "C", "A", 2.0), ("3", "C", "B", 4.0))]
    >>> split = decomposition(en.fit(en.from_table(rows, measure="MD", reference="A"), engine="gls"))
    >>> round(split.between.Q, 3), split.between.df, split.within.df
    (3.0, 1, 0)
    """
    at = contrast_fit(fit)
    common = gls.solve(at.target)
    groups = by_design(at.target.groups)
    within = Test(Q=float(sum(g.Q.sum() for g in groups)), df=int(sum(g.df.sum() for g in groups)))
    between = Test(Q=sum(float(between_terms(g, common.d).sum()) for g in groups), df=common.df - within.df)
    tau2_within = _tau2_within(groups, within)
    return Decomposition(
        total=Test(Q=common.Q, df=common.df),
        within=within,
        between=between,
        interaction=_between_at(at, tau2_within, between) if np.isfinite(tau2_within) else between,
        tau_within=float(np.sqrt(tau2_within)),
        _designs=_design_rows(at, groups),
        _detached=_detached_rows(at, groups, common, between),
    )


def tau_within(fit: Fit) -> float:
    """Between-study standard deviation within designs, by moments; NaN when no design has two studies."""
    groups = by_design(contrast_fit(fit).target.groups)
    within = Test(Q=float(sum(g.Q.sum() for g in groups)), df=int(sum(g.df.sum() for g in groups)))
    return float(np.sqrt(_tau2_within(groups, within)))


def _tau2_within(groups: tuple[Designs, ...], within: Test) -> float:
    if within.df == 0:
        return float("nan")
    return max(0.0, (within.Q - within.df) / float(sum(g.spread.sum() for g in groups)))


def between_terms(designs: Designs, d: Array) -> Array:
    """(x_D - d_D)' V_D⁻¹ (x_D - d_D) of each design, shape (designs,)."""
    gap = designs.estimate - designs.basic(d)
    return np.einsum("ni,nij,nj->n", gap, designs.laplacian, gap)


def _between_at(at: ContrastFit, tau2: float, common: Test) -> Test:
    groups = by_design(at.target.groups, tau2)
    d = gls.solve(at.target, tau2).d
    return Test(Q=sum(float(between_terms(g, d).sum()) for g in groups), df=common.df)


def _design_rows(at: ContrastFit, groups: tuple[Designs, ...]) -> tuple[tuple[str, int, Test], ...]:
    return tuple(
        (design_name(at.network, arms), int(n), Test(Q=float(Q), df=int(df)))
        for g in groups
        for arms, n, Q, df in zip(g.arms, g.n_studies, g.Q, g.df, strict=True)
    )


def _detached_rows(at: ContrastFit, groups, common: gls.GLS, between: Test) -> tuple[tuple[str, Test], ...]:
    rows = []
    for g in groups:
        gap, surplus, _ = detachment(g, common.d, common.cov)
        values, axes = np.linalg.eigh(surplus)
        free = values > NO_INDIRECT
        along = np.einsum("nij,ni->nj", axes, gap)
        taken = np.sum(np.where(free, along**2 / np.where(free, values, 1.0), 0.0), axis=1)
        for arms, Q, rank in zip(g.arms, taken, free.sum(axis=1), strict=True):
            if rank:
                left = Test(Q=max(0.0, between.Q - float(Q)), df=between.df - int(rank))
                rows.append((design_name(at.network, arms), left))
    return tuple(rows)


def detachment(designs: Designs, d: Array, cov: Array) -> tuple[Array, Array, Array]:
    """Each design against the network, in units of its own standard errors.

    Parameters
    ----------
    designs : Designs
    d : float array, shape (treatments,)
    cov : float array, shape (treatments, treatments)

    Returns
    -------
    gap : float array, shape (designs, k - 1)
        R (x_D - d_D), with R'R = V_D⁻¹.
    surplus : float array, shape (designs, k - 1, k - 1)
        I - R X C X' R': 1 where all evidence is indirect, 0 where none is.
    root : float array, shape (designs, k - 1, k - 1)
        R.
    """
    arms = designs.arms
    local = cov[arms[:, :, None], arms[:, None, :]]
    first = local[:, :1, :]
    network = (local - first - np.swapaxes(first, 1, 2) + local[:, :1, :1])[:, 1:, 1:]
    root = np.swapaxes(np.linalg.cholesky(designs.laplacian[:, 1:, 1:]), 1, 2)
    gap = (root @ (designs.estimate - designs.basic(d))[:, 1:, None])[:, :, 0]
    surplus = np.eye(designs.k - 1) - root @ network @ np.swapaxes(root, 1, 2)
    return gap, 0.5 * (surplus + np.swapaxes(surplus, 1, 2)), root


def without_design(target, arms) -> Any:
    """The target without the studies of one design (treatments, ascending)."""
    groups = []
    for g in target.groups:
        on = np.ones(len(g.study), bool)
        if g.k == len(arms):
            on = ~(np.sort(g.arms, axis=1) == np.asarray(arms)).all(axis=1)
        if on.any():
            groups.append(replace(g, study=g.study[on], arms=g.arms[on], y=g.y[on], v=g.v[on]))
    return replace(target, groups=tuple(groups))


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.3g}"
