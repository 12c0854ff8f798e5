"""Standard errors of contrasts: as given, or rebuilt from a variance, an interval, a test statistic or a p-value.

Row by row, the first of these that a table gives is used, and the ledger names the rows whose standard error was
rebuilt (Cochrane Handbook, sections 6.3 and 6.5): variance, se = √v; 95 % interval, se = (upper - lower) / (2 z);
statistic t or z, se = |effect / t|; two-sided p-value, se = |effect| / q(p), q normal, or t where the table gives
degrees of freedom. A p-value given as a bound (`<0.001`) tells no standard error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from enthesis.network.cells import Numbers
from enthesis.network.layouts import Layout
from enthesis.network.ledger import Entry
from enthesis.network.reading import Sheet

Floats = NDArray[np.float64]

#: intervals are read as 95 %: the distance of their ends in standard errors
_WIDTH_95 = 2 * float(ndtri(0.975))
#: an estimate farther than this part of the half-width from the middle of its interval is remarked on
_OFF_CENTRE = 0.25


def standard_errors(sheet: Sheet, layout: Layout, read: Numbers, ratio: bool, y: Floats, ledger: list[Entry]) -> Floats:
    """The standard error of each row, NaN where nothing tells it.

    Parameters
    ----------
    sheet, layout, read
        The table, how it is laid out, and its reader of numbers.
    ratio : bool
        Whether effect and interval are ratios; standard errors are of logarithms even then.
    y : float array, shape (rows,)
        Effects, on the model's scale.
    ledger : list of Entry
        Gets an entry for every way of rebuilding that was used.

    Returns
    -------
    float array, shape (rows,)

    Raises
    ------
    DataError
        At the first cell that cannot be true: a standard error of 0, an interval without its effect, a p-value above 1.
    """
    se = np.full(len(y), np.nan)
    for source in (_given, _from_variance, _from_interval, _from_statistic, _from_p):
        lacking = np.isfinite(y) & np.isnan(se)
        if not lacking.any():
            break
        found = source(sheet, layout, read, ratio, y, ledger, lacking)
        if found is not None:
            se = np.where(np.isnan(se), found, se)
    return se


def _given(sheet, layout, read, ratio, y, ledger, lacking) -> Floats | None:
    header = layout.header("se")
    if header is None:
        return None
    se = read(header)
    demand(sheet, header, se, se > 0, "a standard error must be above 0", "Check the value and its sign.")
    if ratio:
        reason = f"Column {header!r} was read as the standard error of the logarithm."
        ledger.append(Entry(action="note", rule="scale", reason=reason))
    return se


def _from_variance(sheet, layout, read, ratio, y, ledger, lacking) -> Floats | None:
    header = layout.header("variance")
    if header is None:
        return None
    v = read(header)
    demand(sheet, header, v, v > 0, "a variance must be above 0", "Check the value and its sign.")
    _say(sheet, ledger, "variance", f"Standard errors are the square root of column {header!r}.", v, lacking)
    return np.sqrt(v)


def _from_interval(sheet, layout, read, ratio, y, ledger, lacking) -> Floats | None:
    names = layout.header("lower"), layout.header("upper")
    if None in names:
        return None
    lower, upper = (np.where(lacking, read(h), np.nan) for h in names)
    if ratio:
        for header, end in zip(names, (lower, upper), strict=True):
            demand(sheet, header, end, end > 0, "an end of the interval of a ratio must be above 0", "Check the value.")
        lower, upper = np.log(lower), np.log(upper)
    demand(sheet, names[1], upper - lower, upper > lower, "the upper end of the interval is not above the lower",
           "Check both ends.")  # fmt: skip
    inside = (lower <= y) & (y <= upper)
    demand(sheet, names[0], upper - lower + y, inside, "the effect is not inside its interval",
           "Give both on one scale (all logarithms, or the ratio in a column called OR, RR or HR).")  # fmt: skip
    half = (upper - lower) / 2
    reason = f"Standard errors were rebuilt from {names[0]!r} and {names[1]!r}, read as 95 % confidence intervals."
    _say(sheet, ledger, "interval", reason, half, lacking)
    off = np.flatnonzero(np.abs(y - (upper + lower) / 2) > _OFF_CENTRE * half)
    if len(off):
        reason = "The effect is far from the middle of its interval; check the scale of both."
        ledger.append(Entry(action="note", rule="interval not centred", reason=reason, rows=_labels(sheet, off)))
    return (upper - lower) / _WIDTH_95


def _from_statistic(sheet, layout, read, ratio, y, ledger, lacking) -> Floats | None:
    header = layout.header("statistic")
    if header is None:
        return None
    t = np.where(lacking, read(header), np.nan)
    opposite = np.flatnonzero(t * y < 0)
    if len(opposite):
        reason = f"Effect and {header!r} have opposite signs; only the size of the statistic was used."
        ledger.append(Entry(action="note", rule="sign of the statistic", reason=reason, rows=_labels(sheet, opposite)))
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.abs(y / t)
    se = np.where(np.isfinite(se) & (se > 0), se, np.nan)
    reason = f"Standard errors were rebuilt as the effect over the statistic {header!r}."
    _say(sheet, ledger, "test statistic", reason, se, lacking)
    return se


def _from_p(sheet, layout, read, ratio, y, ledger, lacking) -> Floats | None:
    header = layout.header("p")
    if header is None:
        return None
    p, bounds = read.with_bounds(header)
    demand(sheet, header, p, (p >= 0) & (p <= 1), "a p-value is between 0 and 1", "Check the value.")
    p = np.where(lacking & (p > 0) & (p < 1), p, np.nan)
    unclear = np.flatnonzero(lacking & bounds)
    if len(unclear):
        reason = f"A bound in {header!r} tells no standard error; give an interval, or the p-value itself."
        ledger.append(Entry(action="note", rule="p-value as a bound", reason=reason, rows=_labels(sheet, unclear)))
    df = layout.header("df")
    with np.errstate(divide="ignore", invalid="ignore"):
        quantile = -ndtri(p / 2)
        if df is not None:
            values = read(df)
            demand(sheet, df, values, values > 0, "degrees of freedom must be above 0", "Check the value.")
            quantile = np.where(np.isfinite(values), -stdtrit(values, p / 2), quantile)
        se = np.abs(y) / quantile
    se = np.where(np.isfinite(se) & (se > 0), se, np.nan)
    law = f", by t on {df!r}" if df is not None else ", by the normal distribution"
    reason = f"Standard errors were rebuilt from the two-sided p-values in {header!r}{law}."
    _say(sheet, ledger, "p-value", reason, se, lacking)
    return se


def demand(sheet: Sheet, header: str, values: Floats, ok: NDArray[np.bool_], what: str, fix: str) -> None:
    """Raise DataError at the first finite value that is not right.

    Parameters
    ----------
    sheet : Sheet
    header : str
        The column to name.
    values : float array, shape (rows,)
    ok : bool array, shape (rows,)
    what, fix : str
        What is wrong, and what to do.
    """
    bad = np.flatnonzero(np.isfinite(values) & ~ok)
    if len(bad):
        raise sheet.error(what, int(bad[0]), header, sheet.cells(header)[bad[0]], fix)


def _say(sheet: Sheet, ledger: list[Entry], source: str, reason: str, found: Floats, lacking: NDArray) -> None:
    """One entry for the rows that were rebuilt; their names where these are not all rows."""
    used = np.flatnonzero(lacking & np.isfinite(found))
    if len(used):
        rows = () if len(used) == len(sheet) else _labels(sheet, used)
        ledger.append(Entry(action="changed", rule=f"standard error from {source}", reason=reason, rows=rows))


def _labels(sheet: Sheet, positions: NDArray) -> tuple[str, ...]:
    return tuple(f"{sheet.file}:row {sheet.lines[i]}" for i in positions)
