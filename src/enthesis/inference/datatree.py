"""Draws in the layout of ArviZ: an xarray.DataTree with groups `posterior` and `observed_data`.

ArviZ 1 reads such a tree as it is; for ArviZ 0.x, `to_inference_data` makes its own class. Weighted draws are resampled
to equal weights on the way (systematic resampling: Douc R, Cappé O, ISPA 2005;64), since the layout knows no weights.
Schema: https://python.arviz.org, "InferenceData schema". Needs the extra `arviz` (xarray, h5netcdf, zarr).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from enthesis import __version__
from enthesis.errors import UsageError
from enthesis.inference.fit import Fit
from enthesis.network.blocks import Block

if TYPE_CHECKING:
    import xarray as xr

INSTALL = "pip install 'enthesis[arviz]'"


def to_datatree(fit: Fit, *, seed: int = 1) -> xr.DataTree:
    """The draws of a Bayesian fit as a tree of data sets.

    Parameters
    ----------
    fit : Fit
    seed : int
        Of the resampling, where draws are weighted.

    Returns
    -------
    xarray.DataTree
        `posterior`: `d` (chain, draw, treatment), effects against the reference on the model's scale; one variable for
        each standard deviation (`tau`, `class_sd`, ...); `theta` (chain, draw, parameter), all global parameters.
        `observed_data`: one variable for each number of each block, with `study` and `treatment` beside its rows.
        The four chains of NUTS stay apart; the deterministic engine's draws are one chain of independent draws.

    Raises
    ------
    UsageError
        For a fit without draws, or when xarray is not installed.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study="1", treatment=x, events=r, n=50) for x, r in (("A", 5), ("B", 12))]
    >>> fit = en.fit(en.from_table(rows, reference="A"), en.Model(heterogeneity=en.Common()))
    >>> tree = to_datatree(fit)
    >>> dict(tree["posterior"].sizes)
    {'chain': 1, 'draw': 4000, 'treatment': 2, 'parameter': 1}
    """
    xr = _xarray()
    if fit.d is None:
        raise UsageError(f"a fit by {fit.engine!r} has no draws to export. Fit with engine='laplace' or 'nuts'.")
    chains = int(fit.diagnostics.get("chains", 1))
    keep = equal_weights(fit.weights, seed)

    def by_chain(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x[keep].reshape(chains, -1, *x.shape[1:])

    numbers: dict[str, Any] = {"d": (("chain", "draw", "treatment"), by_chain(fit.d))}
    for j, name in enumerate(fit.hyper):
        numbers[name] = (("chain", "draw"), by_chain(fit.hyper_draws[:, j]))
    numbers["theta"] = (("chain", "draw", "parameter"), by_chain(fit.theta))
    each = len(keep) // chains
    posterior = xr.Dataset(
        numbers,
        coords={"chain": np.arange(chains), "draw": np.arange(each), "treatment": list(fit.treatments),
                "parameter": list(fit.theta_names)},
        attrs=_attributes(fit),
    )  # fmt: skip
    observed = xr.merge([_observed(fit, block, xr) for block in fit.network.blocks], compat="no_conflicts")
    return xr.DataTree.from_dict({"/posterior": posterior, "/observed_data": observed})


def to_inference_data(fit: Fit, *, seed: int = 1) -> Any:
    """What the installed ArviZ calls its data: `InferenceData` for ArviZ 0.x, a DataTree for ArviZ 1.

    Parameters
    ----------
    fit : Fit
    seed : int
        Of the resampling, where draws are weighted.

    Returns
    -------
    arviz.InferenceData or xarray.DataTree

    Raises
    ------
    UsageError
        For a fit without draws, or when ArviZ is not installed.
    """
    tree = to_datatree(fit, seed=seed)
    try:
        import arviz
    except ImportError:
        raise UsageError(
            "ArviZ is not installed: pip install arviz. The tree of to_datatree needs xarray alone."
        ) from None
    if not hasattr(arviz, "InferenceData"):
        return tree
    return arviz.InferenceData(**{name: node.to_dataset() for name, node in tree.children.items()})


def write_draws(fit: Fit, path: str | Path, *, seed: int = 1) -> Path:
    """Write the draws to a file that ArviZ and xarray read.

    Parameters
    ----------
    fit : Fit
    path : path
        Ends in .nc (netCDF) or .zarr (a folder).
    seed : int
        Of the resampling, where draws are weighted.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        For another ending, a fit without draws, or when what writes the format is not installed.
    """
    path = Path(path)
    if path.suffix not in (".nc", ".zarr"):
        raise UsageError(f"{path.name!r}: draws are written to files ending in .nc or .zarr.")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {str(path.parent)!r}. Make it first.")
    tree = to_datatree(fit, seed=seed)
    try:
        if path.suffix == ".nc":
            tree.to_netcdf(path, engine="h5netcdf", mode="w")
        else:
            tree.to_zarr(path, mode="w", zarr_format=2)
    except (ImportError, ValueError) as problem:
        if isinstance(problem, ValueError) and "engine" not in str(problem):
            raise
        raise UsageError(
            f"{path.suffix} cannot be written here ({problem}). Install what it needs: {INSTALL}"
        ) from None
    return path


def equal_weights(weights: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Positions of as many draws as there are weights, each about as often as its weight says, in random order.

    Draws of equal weight are left as they are.

    Examples
    --------
    >>> sorted(equal_weights(np.array([0.5, 0.25, 0.25, 0.0]), seed=1).tolist())
    [0, 0, 1, 2]
    """
    n = len(weights)
    if np.ptp(weights) == 0:
        return np.arange(n)
    rng = np.random.default_rng(seed)
    ends = np.cumsum(weights) / np.sum(weights)
    picked = np.searchsorted(ends, (np.arange(n) + rng.random()) / n, side="right")
    return rng.permutation(np.minimum(picked, n - 1))


def _attributes(fit: Fit) -> dict[str, Any]:
    return {
        "inference_library": "enthesis",
        "inference_library_version": __version__,
        "engine": fit.engine,
        "model": fit.model.describe(),
        "measure": fit.network.measure.name,
        "scale": fit.network.measure.scale,
        "reference": fit.reference,
        "status": fit.status.message,
        "content_hash": fit.content_hash,
        "effective_sample_size": float(fit.diagnostics.get("effective_sample_size", len(fit.weights))),
    }


def _observed(fit: Fit, block: Block, xr: Any) -> xr.Dataset:
    """The numbers of a block; its kind is in the names of its variables and of its rows."""
    rows, studies, names = f"row_{block.kind}", np.array(fit.network.studies), np.array(fit.treatments)
    numbers = {}
    for name in block.numbers:
        values = getattr(block, name)
        dims = (rows,) if values.ndim == 1 else (rows, "level")
        numbers[f"{block.kind}_{name}"] = (dims, values)
    coords = {f"study_{block.kind}": (rows, studies[block.study].astype(str))}
    coords[f"treatment_{block.kind}"] = (rows, names[block.treatment].astype(str))
    if hasattr(block, "comparator"):
        coords[f"comparator_{block.kind}"] = (rows, names[block.comparator].astype(str))
    return xr.Dataset(numbers, coords=coords)


def _xarray() -> Any:
    try:
        import xarray
    except ImportError:
        raise UsageError(f"draws are exported by xarray, which is not installed: {INSTALL}") from None
    if not hasattr(xarray, "DataTree"):
        raise UsageError(f"this xarray ({xarray.__version__}) has no DataTree, which 2024.10 brought: {INSTALL}")
    return xarray
