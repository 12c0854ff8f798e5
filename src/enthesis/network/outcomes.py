"""Outcomes as data: what each code means, which way is good, and which difference matters.

The table is `outcomes.toml` beside this file. Direction is stated there and nowhere else. A minimally important
difference without a source is not in it.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from enthesis.errors import unknown_name
from enthesis.network.measures import Kind, Measure, measure

if TYPE_CHECKING:
    import pandas as pd

Reported = Literal["binary", "continuous", "rate"]

#: how the evidence tables call the data that a block holds
REPORTED_AS: dict[Kind, Reported] = {"counts": "binary", "means": "continuous", "rates": "rate"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One outcome.

    Parameters
    ----------
    code, label : str
        The code of the evidence tables, and the name for the reader.
    kinds : tuple of {"binary", "continuous", "rate"}
        The data it is reported as.
    better : {"higher", "lower"}
        Which direction is good for the patient.
    domain, unit : str
    measure : str
        The measure used when a question names none.
    mid : dict of str to float
        Minimally important difference by measure name, on the scale people read; empty when there is no source.
    mid_source : str
        Where it comes from.
    synonyms : tuple of str

    Examples
    --------
    >>> outcome("asas 40").better, outcome("dBASFI").mid
    ('higher', {})
    """

    code: str
    label: str
    kinds: tuple[Reported, ...]
    better: Literal["higher", "lower"]
    domain: str = ""
    unit: str = ""
    measure: str = "OR"
    mid: dict[str, float] = field(default_factory=dict)
    mid_source: str = ""
    synonyms: tuple[str, ...] = ()

    def reported_as(self, by: str | Measure) -> Reported | None:
        """The kind of row that a measure needs, or None when this outcome is not reported so."""
        kind = measure(by).kind
        found = REPORTED_AS[kind] if kind else None
        return found if found in self.kinds else None


@lru_cache(maxsize=1)
def outcomes() -> dict[str, Outcome]:
    """Every outcome by its code, in the order of the table.

    Examples
    --------
    >>> outcomes()["ASAS40"].label
    'ASAS40 response'
    """
    raw = tomllib.loads(files("enthesis.network").joinpath("outcomes.toml").read_text(encoding="utf-8"))
    made = [Outcome(**{k: tuple(v) if isinstance(v, list) else v for k, v in o.items()}) for o in raw["outcome"]]
    return {o.code: o for o in made}


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Outcome]:
    names: dict[str, Outcome] = {}
    for o in outcomes().values():
        for name in (o.code, *o.synonyms):
            names.setdefault(_plain(name), o)
    return names


def _plain(name: str) -> str:
    return re.sub(r"[\s\-_]", "", name).casefold()


def outcome(name: str) -> Outcome:
    """The outcome of that code or synonym; case, spaces and hyphens do not matter.

    Parameters
    ----------
    name : str

    Returns
    -------
    Outcome

    Raises
    ------
    UsageError
        When there is none; the message names the nearest.

    Examples
    --------
    >>> outcome("ASDAS inactive disease").code
    'ASDAS-ID'
    """
    exact = outcomes().get(name) or _by_name().get(_plain(str(name)))
    if exact is None:
        raise unknown_name("outcome", name, outcomes())
    return exact


def outcomes_table() -> pd.DataFrame:
    """The dictionary of outcomes.

    Returns
    -------
    pandas.DataFrame
        code, label, domain, kinds, better, unit, measure, mid (as text), mid_source, synonyms; one row per outcome.
    """
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "code": o.code,
                "label": o.label,
                "domain": o.domain,
                "kinds": ", ".join(o.kinds),
                "better": o.better,
                "unit": o.unit,
                "measure": o.measure,
                "mid": ", ".join(f"{name} {value:g}" for name, value in o.mid.items()),
                "mid_source": o.mid_source,
                "synonyms": ", ".join(o.synonyms),
            }
            for o in outcomes().values()
        ]
    )
