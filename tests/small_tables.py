"""A small folder of evidence, made of rows of the bundled tables so that every cell is a published one."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from enthesis.evidence import bundled_folder

STUDY = "SELECT-AXIS-1"


def small_folder(folder: Path, study: str = STUDY) -> Path:
    """The rows of one study, of its sources, and the curation lines that speak of it."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: [row for row in read(bundled_folder() / f"{name}.csv") if row["study_id"] == study]
            for name in ("studies", "arms", "outcomes")}  # fmt: skip
    used = {row["source_id"] for rows in kept.values() for row in rows}
    kept["sources"] = [row for row in read(bundled_folder() / "sources.csv") if row["source_id"] in used]
    for name, rows in kept.items():
        write(folder / f"{name}.csv", rows)
    shutil.copy(bundled_folder() / "curation.csv", folder / "curation.csv")
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def edit(path: Path, change) -> None:
    """Apply a function to the list of rows of a table."""
    rows = read(path)
    write(path, change(rows) or rows)
