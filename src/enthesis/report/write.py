"""Write a run: the page and, beside it, the same content as data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from enthesis.report.document import review_document
from enthesis.report.render import html, json
from enthesis.report.tables import readings

if TYPE_CHECKING:
    from enthesis.living.run import Run


def write_report(run: Run, out: Path | str) -> tuple[Path, Path]:
    """Write `report.html` and `results.json`.

    Parameters
    ----------
    run : Run
    out : path
        A folder; it is made when it does not exist.

    Returns
    -------
    (Path, Path)
        The page and the data.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    read = readings(run)
    page, data = out / "report.html", out / "results.json"
    html.write(review_document(run, read), page)
    json.write(run, data, read)
    return page, data
