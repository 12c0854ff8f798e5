"""Net heat: which designs disagree, and which of them would agree again if one were detached.

Each design contributes Q_q = e_q (V⁻¹ e)_q to the inconsistency between designs, one part q for each of its contrasts
with its first treatment. The heat of (q, D) is Q_q minus what is left of it after design D has been given effects of
its own: positive where D takes part in the inconsistency of q, negative where D hides it (Krahn U, Binder H, König J,
BMC Med Res Methodol 2013;13:35). A square beside the heat, the share of the network estimate that flows through the
contrast, is the hat matrix of `contribution.hat_matrix(kind="designs")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from enthesis.assess.aggregate import by_design, contrast_fit, design_name
from enthesis.assess.consistency import NO_INDIRECT, detachment, tau_within
from enthesis.errors import UsageError
from enthesis.inference import gls
from enthesis.inference.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

#: more contrasts of designs than this make a matrix that nobody reads
MOST_CONTRASTS = 1_000


def net_heat(fit: Fit) -> pd.DataFrame:
    """The net heat matrix.

    Parameters
    ----------
    fit : Fit
        For random effects, tau is the one within designs (`consistency.tau_within`), so that inconsistency does not
        hide in it.

    Returns
    -------
    pandas.DataFrame
        One row per contrast of a design (design, treatment, comparator; the comparator is the design's first
        treatment) with its inconsistency `Q`, then one column per design: the heat. NaN where detaching the design
        changes nothing, because it has no indirect evidence.

    Raises
    ------
    UsageError
        When the designs have more than 1,000 contrasts.
    """
    import pandas as pd

    at = contrast_fit(fit)
    within = tau_within(fit) if at.random else 0.0
    tau2 = within**2 if np.isfinite(within) else 0.0
    groups = by_design(at.target.groups, tau2)
    rows = sum(g.arms.shape[0] * (g.k - 1) for g in groups)
    if rows > MOST_CONTRASTS:
        raise UsageError(
            f"a net heat matrix of {rows:,} contrasts cannot be read (the limit is {MOST_CONTRASTS:,}); take a part of "
            "the network, or read the detached designs of the decomposition of Q."
        )
    now = gls.solve(at.target, tau2)
    names = at.network.treatment_names
    frame = pd.DataFrame(
        [
            {"design": design_name(at.network, arms), "treatment": names[t], "comparator": names[arms[0]]}
            for g in groups
            for arms in g.arms
            for t in arms[1:]
        ]
    )
    frame["Q"] = inconsistency = _parts(groups, now.d)
    heat = {}
    for g in groups:
        gap, surplus, root = detachment(g, now.d, now.cov)
        values, axes = np.linalg.eigh(surplus)
        for i, arms in enumerate(g.arms):
            free = values[i] > NO_INDIRECT
            name = design_name(at.network, arms)
            if not free.any():
                heat[name] = np.full(len(frame), np.nan)
                continue
            inverse = (axes[i][:, free] / values[i][free]) @ axes[i][:, free].T
            to_arms = now.cov[:, arms[1:]] - now.cov[:, arms[:1]]
            d = now.d - to_arms @ (root[i].T @ (inverse @ gap[i]))
            left = _parts(groups, d)
            left[(frame["design"] == name).to_numpy()] = 0.0
            heat[name] = inconsistency - left
    return pd.concat([frame, pd.DataFrame(heat)], axis=1)


def _parts(groups, d) -> np.ndarray:
    """e_q (V⁻¹ e)_q of every contrast of every design."""
    parts = []
    for g in groups:
        gap = g.estimate - g.basic(d)
        parts.append((gap * (g.laplacian @ gap[:, :, None])[:, :, 0])[:, 1:].ravel())
    return np.concatenate(parts)
