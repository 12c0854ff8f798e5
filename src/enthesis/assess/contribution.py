"""Where a network estimate comes from: hat matrices, the flow of evidence, contributions of comparisons and studies.

With C the covariance of the effects and p = C (e_a - e_b) the potentials of a comparison a : b, everything is a product
of p with a Laplacian, so no matrix ever spans the comparisons:

- the flow along edge i - j is w_ij (p_i - p_j), w the weight of the edge with multi-arm studies shared among their
  pairs (Rücker G, Res Synth Methods 2012;3:312; the row of Davies' hat matrix);
- a design with Laplacian L_D takes the currents L_D p in at its treatments (the row of Krahn's hat matrix), and carries
  half the sum of their absolute values. The sum over designs is the mean path length, 1 / max over designs the minimal
  parallelism, over studies the minimal parallelism on study level (König J, Krahn U, Binder H, Stat Med 2013;32:5414);
- `paths` splits the flow into paths, which gives contributions that are positive and sum to 1.

The importance of a study is the precision that is lost without it, 1 - V / V_without, at unchanged tau (Rücker G et
al., BMC Med Res Methodol 2020;20:236).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from enthesis.assess import paths
from enthesis.assess.aggregate import (
    Array,
    Comparisons,
    ContrastFit,
    Ints,
    by_comparison,
    by_design,
    choice,
    chosen_pairs,
    contrast_fit,
    design_name,
    oriented,
)
from enthesis.assess.consistency import NO_INDIRECT
from enthesis.errors import UsageError
from enthesis.inference.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["comparisons", "designs", "contrasts"]
KINDS: tuple[str, ...] = ("comparisons", "designs", "contrasts")
Method = Literal["shortest path", "random walk", "L1"]
METHODS = {"shortest path": paths.shortest_path, "random walk": paths.random_walk, "L1": paths.least_length}
Pairs = list[tuple[str, str]]
#: pairs of treatments that are worked on at once
_BATCH = 2_000
#: cells of a matrix that is handed out as a table
MOST_CELLS = 20_000_000


def hat_matrix(fit: Fit, kind: Kind = "comparisons", comparisons: Pairs | None = None) -> pd.DataFrame:
    """How network estimates are made of direct ones: network = hat matrix x direct.

    Parameters
    ----------
    fit : Fit
    kind : {"comparisons", "designs", "contrasts"}
        What the columns are: comparisons with direct evidence (Davies), contrasts of designs with their first treatment
        (Krahn), or all contrasts of all studies (Rücker; rows are the contrasts too).
    comparisons : list of (treatment, comparator), optional
        Rows; default every pair of treatments.

    Returns
    -------
    pandas.DataFrame
        Index and columns are named "treatment : comparator"; columns of designs with several contrasts add the design
        in brackets, those of contrasts the study.

    Raises
    ------
    UsageError
        For an unknown kind, or a matrix of more than 20 million cells.
    """
    import pandas as pd

    choice("kind of hat matrix", kind, KINDS)
    at = contrast_fit(fit)
    if kind == "contrasts":
        return _hat_of_contrasts(at)
    rows = _oriented_pairs(at, comparisons)
    potentials = _potentials(at, rows)
    if kind == "comparisons":
        found = by_comparison(at.target.groups, at.target.size, at.tau2)
        _small_enough(len(rows), len(found))
        t, c, _ = _edges(at, found)
        values = found.weight * (potentials[:, t] - potentials[:, c])
        names = _labels(at, t, c)
    else:
        groups = by_design(at.target.groups, at.tau2)
        _small_enough(len(rows), sum(g.arms.shape[0] * (g.k - 1) for g in groups))
        parts, names = [], []
        for g in groups:
            currents = np.einsum("dij,pdj->pdi", g.laplacian, potentials[:, g.arms])[:, :, 1:]
            parts.append(currents.reshape(len(rows), -1))
            for arms in g.arms:
                tail = f" ({design_name(at.network, arms)})" if g.k > 2 else ""
                names += [name + tail for name in _labels(at, arms[1:], np.repeat(arms[:1], g.k - 1))]
        values = np.concatenate(parts, axis=1)
    return pd.DataFrame(values, index=_labels(at, rows[:, 0], rows[:, 1]), columns=names)


def _hat_of_contrasts(at: ContrastFit) -> pd.DataFrame:
    import pandas as pd

    plus, minus, weight, study = [], [], [], []
    for g in at.target.groups:
        i, j = np.triu_indices(g.k, 1)
        plus.append(g.arms[:, i].ravel())
        minus.append(g.arms[:, j].ravel())
        weight.append(-g.laplacian(at.tau2)[:, i, j].ravel())
        study.append(np.repeat(g.study, len(i)))
    a, b, w, s = (np.concatenate(x) for x in (plus, minus, weight, study))
    _small_enough(len(a), len(a))
    potentials = at.cov[a] - at.cov[b]
    names = [f"{at.network.studies[i]}: {label}" for i, label in zip(s, _labels(at, a, b), strict=True)]
    return pd.DataFrame(w * (potentials[:, a] - potentials[:, b]), index=names, columns=names)


def evidence_flow(fit: Fit, comparisons: Pairs | None = None) -> pd.DataFrame:
    """Direct evidence proportion, mean path length and minimal parallelism.

    Parameters
    ----------
    fit : Fit
    comparisons : list of (treatment, comparator), optional
        Default: every pair of treatments.

    Returns
    -------
    pandas.DataFrame
        treatment, comparator, proportion, mean_path, parallelism, parallelism_study. A mean path above 2 says that
        indirect evidence needs several steps; a parallelism near 1 that one design (or study) carries the estimate.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, comparator=c, effect=y, se=1.0)
    ...         for s, t, c, y in (("1", "B", "A", 1.0), ("2", "C", "A", 2.0), ("3", "C", "B", 4.0))]
    >>> flow = evidence_flow(en.fit(en.from_table(rows, measure="MD", reference="A"), engine="gls"), [("B", "A")])
    >>> flow[["proportion", "mean_path", "parallelism"]].round(3).to_dict("records")
    [{'proportion': 0.667, 'mean_path': 1.333, 'parallelism': 1.5}]
    """
    import pandas as pd

    at = contrast_fit(fit)
    rows = _oriented_pairs(at, comparisons)
    found = by_comparison(at.target.groups, at.target.size, at.tau2)
    groups = by_design(at.target.groups, at.tau2)
    direct = np.full((at.target.size, at.target.size), np.inf)
    direct[found.a, found.b] = direct[found.b, found.a] = found.variance
    proportion = np.minimum(1.0, at.variance(rows[:, 0], rows[:, 1]) / direct[rows[:, 0], rows[:, 1]])
    mean, most, most_study = (np.zeros(len(rows)) for _ in range(3))
    for first in range(0, len(rows), _BATCH):
        here = slice(first, first + _BATCH)
        potentials = _potentials(at, rows[here])
        for g in groups:
            carried = _carried(g.arms, g.laplacian, potentials)
            mean[here] += carried.sum(axis=1)
            most[here] = np.maximum(most[here], carried.max(axis=1))
        for g in at.target.groups:
            for some in np.array_split(np.arange(len(g.study)), 1 + len(g.study) // _BATCH):
                carried = _carried(g.arms[some], g.laplacian(at.tau2)[some], potentials)
                most_study[here] = np.maximum(most_study[here], carried.max(axis=1))
    names = np.array(at.network.treatment_names, dtype=object)
    return pd.DataFrame(
        {
            "treatment": names[rows[:, 0]],
            "comparator": names[rows[:, 1]],
            "proportion": proportion,
            "mean_path": mean,
            "parallelism": 1 / most,
            "parallelism_study": 1 / most_study,
        }
    )


def _carried(arms: Ints, laplacian: Array, potentials: Array) -> Array:
    """Flow through each design or study, shape (pairs, designs)."""
    return 0.5 * np.abs(np.einsum("dij,pdj->pdi", laplacian, potentials[:, arms])).sum(axis=2)


def contributions(fit: Fit, method: Method = "shortest path", comparisons: Pairs | None = None) -> pd.DataFrame:
    """What each comparison with direct evidence contributes to each network estimate.

    Parameters
    ----------
    fit : Fit
    method : {"shortest path", "random walk", "L1"}
        How the flow of evidence is split into paths; see `paths`. The first is fastest.
    comparisons : list of (treatment, comparator), optional
        Rows; default every pair of treatments.

    Returns
    -------
    pandas.DataFrame
        Index "treatment : comparator" of the network estimates, columns those of the comparisons with direct evidence;
        each row is positive and sums to 1.

    Raises
    ------
    UsageError
        For an unknown method, a matrix of more than 20 million cells, or a network too large for `L1`.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=s, treatment=t, comparator=c, effect=y, se=1.0)
    ...         for s, t, c, y in (("1", "B", "A", 1.0), ("2", "C", "A", 2.0), ("3", "C", "B", 4.0))]
    >>> result = en.fit(en.from_table(rows, measure="MD", reference="A"), engine="gls")
    >>> contributions(result, comparisons=[("B", "A")]).round(3).to_dict("records")
    [{'B : A': 0.667, 'C : A': 0.167, 'B : C': 0.167}]
    """
    import pandas as pd

    choice("method of contribution", method, tuple(METHODS))
    at = contrast_fit(fit)
    rows = _oriented_pairs(at, comparisons)
    found = by_comparison(at.target.groups, at.target.size, at.tau2)
    _small_enough(len(rows), len(found))
    values = np.array([_contribution(at, found, method, int(t), int(c)) for t, c in rows]).reshape(len(rows), -1)
    t, c, _ = _edges(at, found)
    return pd.DataFrame(values, index=_labels(at, rows[:, 0], rows[:, 1]), columns=_labels(at, t, c))


def _contribution(at: ContrastFit, found: Comparisons, method: str, t: int, c: int) -> Array:
    # ties between paths are broken by the order of treatments, so every comparison is read in that order
    source, sink = min(t, c), max(t, c)
    p = at.cov[source] - at.cov[sink]
    signed = found.weight * (p[found.a] - p[found.b])
    forward = signed > 0
    tail, head = np.where(forward, found.a, found.b), np.where(forward, found.b, found.a)
    flow = np.abs(signed)
    if (found.weight < 0).any():
        flow = paths.without_circles(tail, head, flow, at.target.size)
    return METHODS[method](tail, head, flow, source, sink, at.target.size)


def study_contributions(fit: Fit, method: Method = "shortest path", comparisons: Pairs | None = None) -> pd.DataFrame:
    """What each study contributes to each network estimate.

    A comparison's contribution is shared among its studies by their weights in the network.

    Parameters
    ----------
    fit : Fit
    method : {"shortest path", "random walk", "L1"}
    comparisons : list of (treatment, comparator), optional

    Returns
    -------
    pandas.DataFrame
        Index "treatment : comparator", one column per study; rows sum to 1.
    """
    return shared_among_studies(fit, contributions(fit, method, comparisons))


def shared_among_studies(fit: Fit, contributed: pd.DataFrame) -> pd.DataFrame:
    """A table of `contributions` with every comparison shared among its studies.

    Parameters
    ----------
    fit : Fit
    contributed : pandas.DataFrame
        What `contributions` returned for this fit.

    Returns
    -------
    pandas.DataFrame
        As `study_contributions`.
    """
    import pandas as pd

    at = contrast_fit(fit)
    found = by_comparison(at.target.groups, at.target.size, at.tau2)
    _small_enough(len(contributed), at.network.n_studies)
    return pd.DataFrame(
        contributed.to_numpy() @ _study_shares(at, found), index=contributed.index, columns=list(at.network.studies)
    )


def _study_shares(at: ContrastFit, found: Comparisons) -> Any:
    """Share of each study in each comparison, sparse, shape (comparisons, studies)."""
    from scipy.sparse import coo_array

    share = found.share / found.weight[found.of_contrast]
    return coo_array((share, (found.of_contrast, found.study)), shape=(len(found), at.network.n_studies)).tocsr()


def study_importance(fit: Fit, comparisons: Pairs | None = None) -> pd.DataFrame:
    """The share of precision that an estimate would lose without a study, at unchanged tau.

    Parameters
    ----------
    fit : Fit
    comparisons : list of (treatment, comparator), optional

    Returns
    -------
    pandas.DataFrame
        Index: studies. Columns "treatment : comparator": 1 - V / V_without, between 0 and 1; 1 where the two would no
        longer be linked. Rows and columns do not sum to 1.
    """
    import pandas as pd

    at = contrast_fit(fit)
    rows = _oriented_pairs(at, comparisons)
    _small_enough(at.network.n_studies, len(rows))
    V = at.variance(rows[:, 0], rows[:, 1])
    out = np.zeros((at.network.n_studies, len(rows)))
    for g in at.target.groups:
        root = np.swapaxes(np.linalg.cholesky(g.laplacian(at.tau2)[:, 1:, 1:]), 1, 2)
        for i, arms in enumerate(g.arms):
            to_study = (at.cov[:, arms[1:]] - at.cov[:, arms[:1]]) @ root[i].T
            own = root[i] @ (to_study[arms[1:]] - to_study[arms[0]])
            values, axes = np.linalg.eigh(np.eye(g.k - 1) - 0.5 * (own + own.T))
            along = (to_study[rows[:, 0]] - to_study[rows[:, 1]]) @ axes
            lost = values <= NO_INDIRECT
            more = np.sum(along[:, ~lost] ** 2 / values[~lost], axis=1)
            cut = (along[:, lost] ** 2 > NO_INDIRECT * V[:, None]).any(axis=1)
            out[g.study[i]] = np.where(cut, 1.0, more / (V + more))
    return pd.DataFrame(out, index=list(at.network.studies), columns=_labels(at, rows[:, 0], rows[:, 1]))


def _oriented_pairs(at: ContrastFit, comparisons: Pairs | None) -> Ints:
    pairs = chosen_pairs(at.network, comparisons)
    if comparisons is None:
        pairs = [oriented(at.network, a, b) for a, b in pairs]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _edges(at: ContrastFit, found: Comparisons) -> tuple[Ints, Ints, Array]:
    """(treatment, comparator) of each comparison as a reader expects them, and the sign against (a, b)."""
    swap = found.a == at.network.index(at.network.reference)
    return np.where(swap, found.b, found.a), np.where(swap, found.a, found.b), np.where(swap, -1.0, 1.0)


def _potentials(at: ContrastFit, rows: Ints) -> Array:
    return at.cov[rows[:, 0]] - at.cov[rows[:, 1]]


def _labels(at: ContrastFit, t: Ints, c: Ints) -> list[str]:
    names = at.network.treatment_names
    return [f"{names[i]} : {names[j]}" for i, j in zip(t, c, strict=True)]


def _small_enough(rows: int, columns: int) -> None:
    if rows * columns > MOST_CELLS:
        raise UsageError(
            f"a table of {rows:,} by {columns:,} is too large to hand out; name the comparisons of interest "
            "(comparisons=[(treatment, comparator), ...])."
        )
