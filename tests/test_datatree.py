"""Draws leave in ArviZ's layout with equal weights, names and their own numbers."""

import os
import sys

import numpy as np
import pytest

import enthesis as en
from enthesis.errors import UsageError
from enthesis.inference.datatree import equal_weights, to_datatree, to_inference_data, write_draws

try:
    import h5py  # noqa: F401
    import xarray as xr
    import zarr  # noqa: F401
except ImportError:
    if os.environ.get("ENTHESIS_REQUIRE") == "all":
        raise
    pytest.skip("the extra `arviz` is not installed", allow_module_level=True)

ROWS = [
    dict(study=f"study {s}", treatment=t, events=r, n=80)
    for s, arms in enumerate((dict(A=9, B=15), dict(A=12, C=14), dict(B=7, C=16), dict(A=3, B=9, C=8)))
    for t, r in arms.items()
]


@pytest.fixture(scope="module")
def fit():
    return en.fit(en.from_table(ROWS, measure="OR", reference="A"), draws=2000)


def test_effects_are_labelled_by_treatment_and_agree_with_the_weighted_draws(fit):
    d = to_datatree(fit)["posterior"]["d"]
    assert d.dims == ("chain", "draw", "treatment")
    assert list(d.treatment.values) == ["A", "B", "C"]
    sd = np.sqrt(np.diag(fit.covariance))
    assert np.abs(d.mean(("chain", "draw")).values - fit.weights @ fit.d) == pytest.approx(0.0, abs=0.03 * sd.max())
    assert (d.sel(treatment="A") == 0).all()


def test_one_draw_stays_one_draw_across_variables(fit):
    tree = to_datatree(fit)["posterior"]
    pairs = {tuple(x) for x in np.c_[fit.d[:, 1], fit.tau_draws]}
    exported = np.c_[tree["d"].sel(treatment="B").values.ravel(), tree["tau"].values.ravel()]
    assert {tuple(x) for x in exported} <= pairs


def test_observed_data_know_their_study_and_treatment(fit):
    observed = to_datatree(fit)["observed_data"].to_dataset()
    rows = {
        (s, t): (r, n)
        for s, t, r, n in zip(
            observed.study_counts.values, observed.treatment_counts.values,
            observed.counts_r.values, observed.counts_n.values, strict=True,
        )
    }  # fmt: skip
    assert rows == {(row["study"], row["treatment"]): (row["events"], row["n"]) for row in ROWS}


def test_chains_of_nuts_stay_apart(fit, monkeypatch):
    from enthesis.inference import nuts

    monkeypatch.setattr(nuts, "WARMUP", 100)
    sampled = en.fit(fit.network, engine="nuts", draws=1000)
    d = to_datatree(sampled)["posterior"]["d"]
    assert d.shape == (4, 250, 3)
    assert np.array_equal(d.values.reshape(-1, 3), sampled.d)


@pytest.mark.parametrize(("ending", "engine"), [(".nc", "h5netcdf"), (".zarr", "zarr")])
def test_files_are_read_back_as_written(fit, tmp_path, ending, engine):
    path = write_draws(fit, tmp_path / f"draws{ending}")
    with xr.open_datatree(path, engine=engine) as found:
        wanted = to_datatree(fit)
        for group in ("posterior", "observed_data"):
            assert found[group].to_dataset().identical(wanted[group].to_dataset())


def test_resampling_gives_each_draw_its_weight_to_the_nearest_copies():
    weights = np.random.default_rng(1).dirichlet(np.ones(50))
    copies = np.bincount(equal_weights(weights, seed=3), minlength=50)
    assert (np.abs(copies - 50 * weights) < 1).all()


def test_a_frequentist_fit_has_nothing_to_export(fit):
    with pytest.raises(UsageError, match="no draws to export"):
        to_datatree(en.fit(fit.network, engine="gls"))


@pytest.mark.parametrize("name", ["draws.csv", "nowhere/draws.nc"])
def test_a_place_that_cannot_be_written_is_refused(fit, tmp_path, name):
    with pytest.raises(UsageError):
        write_draws(fit, tmp_path / name)


@pytest.mark.parametrize(("module", "call"), [("xarray", to_datatree), ("arviz", to_inference_data)])
def test_a_missing_package_is_named(fit, monkeypatch, module, call):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match="pip install"):
        call(fit)
