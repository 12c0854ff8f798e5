"""Tables of a report: everything that is shown of one answer, read off its fits once.

Numbers for the reader are on the scale people read (ratios back-transformed); nothing is fitted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from enthesis.estimands import absolute_effects, direction, predictive_effects, ranks, relative_effects
from enthesis.network.blocks import ArmCounts
from enthesis.network.geometry import edges
from enthesis.report.values import anchor
from enthesis.report.wording import count, interval, percent, verdict

if TYPE_CHECKING:
    from enthesis.evidence import Evidence
    from enthesis.inference.fit import Fit
    from enthesis.living.review import Review
    from enthesis.living.run import Answer, Run
    from enthesis.network.build import Selection
    from enthesis.network.network import Network

_SHOWN = ("estimate", "lower", "upper")


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A stated risk with the reference: a name, the risk, and where it comes from."""

    label: str
    risk: float
    how: str


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a report reads off one answer; each table is made when it is first asked for, and kept.

    Parameters
    ----------
    answer : Answer
    review : Review
    full : bool
        Whether absolute effects are read at low and high risks too, not only at the pooled one.
    """

    answer: Answer
    review: Review
    full: bool = False

    @property
    def id(self) -> str:
        """Id of the question."""
        return self.answer.question.id

    @property
    def fit(self) -> Fit | None:
        """The fit that is read."""
        return self.answer.fit

    @property
    def twin(self) -> Fit | None:
        """The fit beside it: of the first model with another role than the one read."""
        others = list(self.answer.fits.values())[1:]
        return others[0] if others else None

    @cached_property
    def titles(self) -> dict[str, str]:
        """Titles of the models that gave a fit, by id."""
        known = {m.id: m.title for m in self.review.models}
        return {id: known.get(id, id) for id in self.answer.fits}

    @property
    def strong(self) -> frozenset[str]:
        """The treatments that the review is about."""
        return focus(self.answer.fitted, self.review.focus_class)

    @cached_property
    def against(self) -> dict[str, pd.DataFrame]:
        """Effects against the reference on the model's scale (`relative_effects`), by model id."""
        return {id: relative_effects(fit, fit.reference) for id, fit in self.answer.fits.items()}

    @cached_property
    def new_study(self) -> dict[str, pd.DataFrame]:
        """Effects to be expected in a new study (`predictive_effects`), by model id."""
        return {
            id: predictive_effects(fit, fit.reference) if fit.effects == "random" else self.against[id]
            for id, fit in self.answer.fits.items()
        }

    @cached_property
    def effects(self) -> pd.DataFrame:
        """Each treatment against the reference.

        Returns
        -------
        pandas.DataFrame
            treatment, comparator, drug_class, strong, estimate, lower, upper, predicted_lower, predicted_upper (a new
            study; absent for common effects), twin, twin_lower, twin_upper (absent without a second model), verdict,
            words, tone, n_direct, studies (direct ones), patients (in the treatment's own arms).
        """
        fit, network = self._fitted()
        ids = list(self.answer.fits)
        table = self._told(self.against[ids[0]], network)
        if fit.effects == "random":
            predicted = back(self.new_study[ids[0]], network)
            table["predicted_lower"], table["predicted_upper"] = predicted["lower"], predicted["upper"]
        if self.twin is not None:
            other = back(self.against[ids[1]], network).set_index("treatment")
            found = other.reindex(table["treatment"])
            for name, column in zip(("twin", "twin_lower", "twin_upper"), _SHOWN, strict=True):
                table[name] = found[column].to_numpy()
        direct = self.direct
        table["n_direct"] = [len(direct.get((t, fit.reference), ())) for t in table["treatment"]]
        table["patients"] = [self.patients.get(t, np.nan) for t in table["treatment"]]
        return table

    @cached_property
    def versus(self) -> pd.DataFrame:
        """Each treatment in focus against each other treatment except the reference; columns of `effects`."""
        fit, network = self._fitted()
        pairs = self.pairs
        others = set(fit.treatments) - self.strong - {fit.reference}
        mine = pairs[pairs["treatment"].isin(self.strong) & pairs["comparator"].isin(others)]
        if mine.empty:
            return pd.DataFrame(columns=["treatment", "comparator", *_SHOWN])
        order = {name: i for i, name in enumerate(fit.treatments)}
        mine = mine.sort_values(["treatment", "comparator"], key=lambda c: c.map(order), ignore_index=True)
        table = self._told(mine, network)
        table["n_direct"] = [len(self.direct.get((r.treatment, r.comparator), ())) for r in table.itertuples()]
        return table

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every ordered pair on the model's scale (`relative_effects`)."""
        return relative_effects(self._fitted()[0])

    @cached_property
    def league(self) -> pd.DataFrame:
        """Every ordered pair on the scale people read, with `verdict`, `words`, `tone`."""
        return self._told(self.pairs, self._fitted()[1])

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """Ranks, best first, with the effect beside each (`effect`, text) and `strong`."""
        fit, _ = self._fitted()
        table = ranks(fit)
        told = {r.treatment: interval(r.estimate, r.lower, r.upper) for r in self.effects.itertuples()}
        table["effect"] = [told.get(t, "reference") for t in table["treatment"]]
        table["strong"] = table["treatment"].isin(self.strong)
        return table.sort_values("mean_rank", ignore_index=True)

    @cached_property
    def baselines(self) -> tuple[Baseline, ...]:
        """The risks with the reference for which absolute effects are shown: pooled, and low and high among studies."""
        pooled = self.answer.baseline
        fit = self.fit
        if pooled is None or fit is None or fit.network.measure.name not in ("OR", "RR", "RD", "HR"):
            return ()
        what = f"{pooled.events:,.0f} of {pooled.n:,.0f} patients with {pooled.treatment}"
        found = [Baseline(label="middle", risk=pooled.risk,
                          how=f"{what} in {count(pooled.studies, 'study', 'studies')}")]  # fmt: skip
        own = _risks(self.answer.fitted)
        if self.full and len(own) >= 4:
            low, high = np.quantile(own, [0.25, 0.75])
            if 0 < low < pooled.risk < high < 1:
                said = f"of the {len(own)} studies had at most this risk"
                found = [Baseline(label="low", risk=float(low), how=f"a quarter {said}"), found[0],
                         Baseline(label="high", risk=float(high), how=f"three quarters {said}")]  # fmt: skip
        return tuple(found)

    @cached_property
    def absolute(self) -> pd.DataFrame:
        """Absolute effects at each stated risk: the columns of `absolute_effects`, baseline, baseline_risk, strong."""
        fit, _ = self._fitted()
        parts = [
            absolute_effects(fit, b.risk).assign(baseline=f"{b.label}: {percent(b.risk)}", baseline_risk=b.risk)
            for b in self.baselines
        ]
        if not parts:
            return pd.DataFrame(columns=["baseline", "baseline_risk", "treatment"])
        table = pd.concat(parts, ignore_index=True)
        table["strong"] = table["treatment"].isin(self.strong)
        return table

    @cached_property
    def middle(self) -> pd.DataFrame:
        """Absolute effects at the pooled risk, by treatment; empty where there are none."""
        at = [b.risk for b in self.baselines if b.label == "middle"]
        table = self.absolute
        return table[table["baseline_risk"] == at[0]].set_index("treatment") if at else table.iloc[:0]

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """The comparisons with direct evidence: treatment, comparator, n_studies, n_patients, studies (names)."""
        _, network = self._fitted()
        table = edges(network)
        # the reference is named last, as in every other table
        swap = table["treatment"] == network.reference
        table.loc[swap, ["treatment", "comparator"]] = table.loc[swap, ["comparator", "treatment"]].to_numpy()
        table["studies"] = [self.direct[r.treatment, r.comparator] for r in table.itertuples()]
        return table

    @cached_property
    def direct(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Names of the studies that compare two treatments, by pair in either order."""
        _, network = self._fitted()
        found: dict[tuple[str, str], list[str]] = {}
        for study, its in network.arms_table().groupby("study", sort=False):
            names = list(dict.fromkeys(its["treatment"]))
            if "comparator" in its:
                names = list(dict.fromkeys([*names, *its["comparator"].dropna()]))
            for a in names:
                for b in names:
                    if a != b:
                        found.setdefault((a, b), []).append(str(study))
        return {pair: tuple(studies) for pair, studies in found.items()}

    @cached_property
    def patients(self) -> dict[str, float]:
        """Patients in the arms of each treatment, where reported."""
        table = self.answer.fitted.arms_table() if self.answer.fitted is not None else pd.DataFrame()
        return table.groupby("treatment")["n"].sum(min_count=1).to_dict() if "n" in table else {}

    def where(self, treatment: str, comparator: str) -> str:
        """The anchor of the evidence behind an estimate: the direct comparison, or the data of the whole network."""
        return self._places.get((treatment, comparator), f"q-{self.id}.data")

    @cached_property
    def _places(self) -> dict[tuple[str, str], str]:
        found = {}
        for a, b in zip(self.comparisons["treatment"], self.comparisons["comparator"], strict=True):
            found[a, b] = found[b, a] = anchor(f"q-{self.id}.direct", a, b)
        return found

    def _fitted(self) -> tuple[Fit, Network]:
        if self.fit is None or self.answer.fitted is None:
            raise ValueError(f"question {self.id} has no fit: {self.answer.problem}")
        return self.fit, self.fit.network

    def _told(self, table: pd.DataFrame, network: Network) -> pd.DataFrame:
        shown = back(table, network)
        classes = {t.name: t.drug_class for t in network.treatments}
        shown.insert(2, "drug_class", shown["treatment"].map(classes))
        shown.insert(3, "strong", shown["treatment"].isin(self.strong))
        said = [
            verdict(lo, hi, network.measure, network.better, network.mid)
            for lo, hi in zip(table["lower"], table["upper"], strict=True)
        ]
        shown["verdict"] = [v.code for v in said]
        shown["words"] = [v.words for v in said]
        shown["tone"] = [v.tone for v in said]
        return shown


def readings(run: Run) -> tuple[Reading, ...]:
    """A reading of every answer of a run, in its order."""
    return tuple(Reading(answer=a, review=run.review, full=a is run.main) for a in run.answers)


def back(table: pd.DataFrame, network: Network) -> pd.DataFrame:
    """A table of effects on the scale people read; without `se`, which has no meaning there for ratios."""
    shown = table.drop(columns="se").reset_index(drop=True)
    for name in _SHOWN:
        with np.errstate(over="ignore"):
            shown[name] = network.measure.back_transform(shown[name].to_numpy(dtype=float))
    return shown


def focus(network: Network | None, drug_class: str) -> frozenset[str]:
    """Names of the treatments of a class."""
    return frozenset(t.name for t in network.treatments if t.drug_class == drug_class) if network else frozenset()


def better_side(fit: Fit) -> tuple[str, str]:
    """What the left and the right side of the line of no difference mean, for effects against the reference."""
    if fit.network.better is None:
        return "lower", "higher"
    sides = (f"{fit.reference} better", "treatment better")
    return sides if direction(fit) > 0 else sides[::-1]


def network_frame(network: Network) -> pd.DataFrame:
    """Treatments and direct comparisons of a network, for its graph.

    Returns
    -------
    pandas.DataFrame
        kind ("treatment", "comparison"), treatment, comparator, group (class), n_studies, n_patients.
    """
    arms = network.arms_table()
    named = [arms[c] for c in ("treatment", "comparator") if c in arms]
    sizes = arms.groupby("treatment")["n"].sum(min_count=1) if "n" in arms else pd.Series(dtype=float)
    times = pd.concat(named).value_counts()
    nodes = pd.DataFrame(
        {
            "kind": "treatment",
            "treatment": list(network.treatment_names),
            "comparator": "",
            "group": [t.drug_class or t.name for t in network.treatments],
            "n_studies": [int(times.get(t, 0)) for t in network.treatment_names],
            "n_patients": [float(sizes.get(t, np.nan)) for t in network.treatment_names],
        }
    )
    lines = edges(network).assign(kind="comparison", group="")
    return pd.concat([nodes, lines[nodes.columns]], ignore_index=True)


def flow_frame(selection: Selection, evidence: Evidence, label: str) -> pd.DataFrame:
    """How the evidence came down to what is used.

    Parameters
    ----------
    selection : Selection
    evidence : Evidence
    label : str
        Of the outcome.

    Returns
    -------
    pandas.DataFrame
        stage, kind ("kept" or "out"), rows, studies.
    """
    flow = selection.flow()
    of_outcome = evidence.outcomes
    of_outcome = of_outcome[of_outcome["outcome"] == selection.question.outcome]
    silent = flow[flow["rule"] == "outcome not reported"]
    lines = [("Result rows in the evidence base", "kept", len(evidence.outcomes), evidence.studies.shape[0]),
             (f"Result rows of {label}", "kept", len(selection.rows), of_outcome["study_id"].nunique())]  # fmt: skip
    lines += [
        (r.rule[0].upper() + r.rule[1:], "out", r.rows, r.studies)
        for r in flow.itertuples()
        if r.rule not in ("used", "outcome not reported")
    ]
    used = flow[flow["rule"] == "used"].iloc[0]
    lines.append(("Used in the network", "kept", int(used["rows"]), int(used["studies"])))
    table = pd.DataFrame(lines, columns=["stage", "kind", "rows", "studies"])
    table.attrs["not_reported"] = int(silent["studies"].iloc[0]) if len(silent) else 0
    return table


def _risks(network: Network) -> np.ndarray:
    """Observed risks of the arms with the reference."""
    at = network.index(network.reference)
    found = [b.r[b.treatment == at] / b.n[b.treatment == at] for b in network.blocks if isinstance(b, ArmCounts)]
    return np.concatenate(found) if found else np.array([])
