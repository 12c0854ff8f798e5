"""The treatment map: which node an arm belongs to, at three resolutions.

`dose` keeps drug, dose and frequency apart, `drug` merges the regimens of a drug, `class` the drugs of a class. The map
is data (`treatments.toml` of a review): classes, drugs, and regimens with the licence that the evidence states for
them. An arm that the map does not know keeps the drug and class of its own row, and the ledger says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from enthesis.errors import DataError
from enthesis.network.network import Treatment
from enthesis.network.settings import read_toml

Resolution = Literal["dose", "drug", "class"]


@dataclass(frozen=True, kw_only=True)
class Regimen:
    """A drug at a dose and frequency.

    Parameters
    ----------
    label : str
        How it is called: `upadacitinib 15 mg QD`.
    drug, unit, frequency : str
    dose : float or None
    licensed : {"yes", "no", ""}
        Whether it is a licensed regimen in the indication; empty where the evidence does not say.
    licence_source : str
        Where that is stated.
    """

    label: str
    drug: str
    dose: float | None = None
    unit: str = ""
    frequency: str = ""
    licensed: Literal["yes", "no", ""] = ""
    licence_source: str = ""


@dataclass(frozen=True, kw_only=True)
class Drug:
    """An agent and its class; `specific` is False for a name that stands for several agents."""

    name: str
    drug_class: str
    specific: bool = True


@dataclass(frozen=True, kw_only=True)
class TreatmentMap:
    """Classes, drugs and regimens.

    Parameters
    ----------
    classes : dict of str to str
        Label of each class by its code, in the order in which tables show them.
    drugs : tuple of Drug
    regimens : tuple of Regimen

    Examples
    --------
    >>> drugs = (Drug(name="upadacitinib", drug_class="JAKi"),)
    >>> arm = {"treatment": "upadacitinib", "drug_class": "JAKi", "dose": 15.0, "dose_unit": "mg", "frequency": "QD"}
    >>> TreatmentMap(drugs=drugs).node(arm, "dose").name
    'upadacitinib 15 mg QD'
    """

    classes: dict[str, str] = field(default_factory=dict)
    drugs: tuple[Drug, ...] = ()
    regimens: tuple[Regimen, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "_drugs", {d.name: d for d in self.drugs})
        object.__setattr__(self, "_regimens", {(r.drug, r.dose, r.unit, r.frequency): r for r in self.regimens})

    def drug(self, arm: dict[str, Any]) -> Drug | None:
        """The drug of an arm row (columns of the evidence tables), or None when the map does not know it."""
        return self._drugs.get(arm["treatment"])

    def regimen(self, arm: dict[str, Any]) -> Regimen | None:
        """The regimen of an arm row, or None when the map does not know it."""
        return self._regimens.get((arm["treatment"], arm["dose"], arm["dose_unit"], arm["frequency"]))

    def node(self, arm: dict[str, Any], resolution: Resolution) -> Treatment:
        """The node of an arm row.

        Parameters
        ----------
        arm : dict
            treatment, drug_class, dose (number or None), dose_unit, frequency.
        resolution : {"dose", "drug", "class"}

        Returns
        -------
        Treatment
        """
        known = self.drug(arm)
        name, drug_class = arm["treatment"], known.drug_class if known else arm["drug_class"]
        if name == "placebo" or (drug_class == "placebo" and resolution == "class"):
            return Treatment(name="placebo", agent="placebo", drug_class="placebo")
        if resolution == "class":
            return Treatment(name=drug_class, drug_class=drug_class)
        if resolution == "drug":
            return Treatment(name=name, agent=name, drug_class=drug_class)
        regimen = self.regimen(arm)
        label = regimen.label if regimen else plain_label(arm)
        return Treatment(name=label, agent=name, dose=arm["dose"], unit=arm["dose_unit"], drug_class=drug_class)

    def order(self, treatment: Treatment) -> tuple:
        """Sort key: classes in the order of the map, then drug, dose, name."""
        codes = list(self.classes)
        place = codes.index(treatment.drug_class) if treatment.drug_class in codes else len(codes)
        return place, treatment.drug_class, treatment.agent, treatment.dose or 0.0, treatment.name

    @classmethod
    def read(cls, path: Path | str) -> TreatmentMap:
        """The map in a TOML file.

        Raises
        ------
        DataError
            When a table has a wrong or missing key, a regimen names no known drug, or two regimens are the same.
        """
        raw, name = read_toml(path), Path(path).name
        drugs = tuple(_entry(Drug, d, name, "drug") for d in raw.get("drug", []))
        regimens = tuple(_entry(Regimen, r, name, "regimen") for r in raw.get("regimen", []))
        known = {d.name for d in drugs}
        seen: set[tuple] = set()
        for r in regimens:
            if r.drug not in known:
                raise DataError("names a drug that no [[drug]] table has", file=name, column="regimen.drug",
                                value=r.drug, fix="Add the drug, or correct the name.")  # fmt: skip
            key = (r.drug, r.dose, r.unit, r.frequency)
            if key in seen:
                raise DataError("appears twice", file=name, column="regimen", value=r.label, fix="Keep one.")
            seen.add(key)
        return cls(classes=dict(raw.get("classes", {})), drugs=drugs, regimens=regimens)


def plain_label(arm: dict[str, Any]) -> str:
    """The name of a regimen made from its arm row: drug, dose, unit, frequency, as far as they are stated."""
    if arm["dose"] is None:
        return f"{arm['treatment']} (dose not stated)"
    return " ".join(filter(None, [arm["treatment"], f"{arm['dose']:g}", arm["dose_unit"], arm["frequency"]]))


def _entry(kind: type, raw: Any, file: str, table: str) -> Any:
    allowed = {"dose": (int, float), "specific": bool}
    for key, value in raw.items() if isinstance(raw, dict) else ():
        if key not in kind.__dataclass_fields__:
            raise DataError("is not a key of this table", file=file, column=f"{table}.{key}",
                            fix=f"Use {', '.join(kind.__dataclass_fields__)}.")  # fmt: skip
        if not isinstance(value, allowed.get(key, str)) or (key == "licensed" and value not in ("yes", "no", "")):
            raise DataError("has the wrong type of value", file=file, column=f"{table}.{key}", value=value,
                            fix="Write a number for dose, true or false for specific, yes or no for licensed, "
                            "else text.")  # fmt: skip
    try:
        return kind(**{k: float(v) if k == "dose" else v for k, v in raw.items()})
    except TypeError:
        raise DataError("lacks a key", file=file, column=table, value=raw,
                        fix="A drug needs name and drug_class, a regimen label and drug.") from None  # fmt: skip
