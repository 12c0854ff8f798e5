"""A multiverse: one comparison under every combination of defensible analytic choices, in one call.

The choices are axes given as data (`axes`). Their product gives specifications; each is a task for `execute.map`, so
that it runs here, in processes or on a cluster with the same results, is cached by its content hash, and is computed
once however often it is asked for. A specification that cannot be estimated is a row with its sentence.

Ratios of one measure stay on it. When the measure is an axis, estimates of all measures are stated as risk differences
at one risk with the comparator, because odds ratios, risk ratios and differences have no scale in common; the interval
is transformed, which is exact for quantiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from enthesis.assess.specification_curve import curve_summary, variance_shares
from enthesis.errors import EnthesisError, UsageError, unknown_name
from enthesis.execute import Executor, task_key
from enthesis.execute import map as map_tasks
from enthesis.hashing import content_hash
from enthesis.living.alternatives import Alternatives, of_network, of_review
from enthesis.living.axes import (
    AXES,
    EACH,
    NONE,
    Values,
    checked_axes,
    default_axes,
    model_of,
    without_what_does_not_matter,
)
from enthesis.living.review import Review
from enthesis.living.specification import Estimate, Specification, estimate_of, failed, lost
from enthesis.models.heterogeneity import Common
from enthesis.models.likelihoods import EXACT, ON_REQUEST
from enthesis.models.model import Model
from enthesis.network.blocks import Contrasts
from enthesis.network.measures import measure
from enthesis.network.network import Network
from enthesis.network.question import Question

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from enthesis.evidence import Evidence

#: more specifications than this are refused: the product of the axes is larger than anybody means
MOST = 50_000


@dataclass(frozen=True, kw_only=True)
class Multiverse:
    """The specifications of one comparison with their estimates.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per specification: a column per axis (empty where the axis does not matter), treatment, comparator (the
        nodes compared), estimate, lower, upper (model's scale of `scale`: log for ratios), n_studies,
        n_treatments, tau, pareto_k, effective_draws, status (ok, doubtful, failed), message, hash.
    axes : dict of str to tuple of str
    treatment, comparator : str
        As asked.
    scale : str
        Measure on which estimates are stated.
    baseline_risk : float or None
        Risk with the comparator, when estimates are stated as risk differences.
    mid : float or None
        Smallest difference that matters, on the model's scale, above 0.
    better : {"higher", "lower"} or None
    title : str
    """

    table: pd.DataFrame
    axes: dict[str, tuple[str, ...]]
    treatment: str
    comparator: str
    scale: str
    baseline_risk: float | None = None
    mid: float | None = None
    better: str | None = None
    title: str = ""

    def summary(self) -> dict[str, Any]:
        """The range of the estimates, the shares that exclude no difference or exceed the important one, and which axis
        moves the estimate most; see `assess.specification_curve.curve_summary`.
        """
        return curve_summary(self.table, list(self.varied), limit=self.mid)

    def moved_by(self) -> pd.DataFrame:
        """The share of each axis in the spread of the estimates; see `assess.specification_curve.variance_shares`."""
        return variance_shares(self.table, list(self.varied))

    @property
    def varied(self) -> tuple[str, ...]:
        """Axes that take more than one value in the table."""
        return tuple(name for name in self.axes if self.table[name].nunique() > 1)

    @cached_property
    def content_hash(self) -> str:
        """Identity of what was computed."""
        return content_hash((self.table["hash"].tolist(), self.scale, self.baseline_risk))

    def __str__(self) -> str:
        told, back = self.summary(), measure(self.scale).back_transform
        lines = [
            f"Multiverse: {self.treatment} versus {self.comparator}, {measure(self.scale).label}",
            f"  {told['specifications']} specifications, {told['failed']} failed, {told['doubtful']} doubtful",
        ]
        if told["estimated"]:
            low, middle, high = (float(back(told[k])) for k in ("lowest", "median", "highest"))
            lines.append(f"  estimates from {low:.3g} to {high:.3g}, median {middle:.3g}")
            lines.append(f"  {told['share_excluding_null']:.0%} of the intervals exclude no difference")
        if told["most_moving_axis"]:
            lines.append(
                f"  moved most by {told['most_moving_axis']} ({told['most_moving_share']:.0%} of the variance)"
            )
        return "\n".join(lines)


def multiverse(
    source: Network | Review | str | Path,
    question: str | Question | None = None,
    *,
    comparison: tuple[str, str],
    axes: Mapping[str, Values] | None = None,
    model: Model | None = None,
    engine: str = "laplace",
    scale: str | None = None,
    baseline_risk: float | None = None,
    mid: float | None = None,
    evidence: Evidence | None = None,
    seed: int = 1,
    draws: int = 2000,
    executor: Executor | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cache: MutableMapping[str, Any] | None = None,
) -> Multiverse:
    """Estimate one comparison under every combination of analytic choices.

    Parameters
    ----------
    source : Network, Review, str or path
        A network; or, with a question, a review (loaded, by name, or its folder).
    question : str or Question, optional
        Of the review.
    comparison : (str, str)
        Treatment and comparator. A drug stands for its class, or for its only or only licensed regimen, where nodes are
        classes or regimens.
    axes : mapping of str to values, optional
        See `axes.AXES`; values as a sequence or as text with commas. The default varies engine, likelihood,
        heterogeneity, the prior of tau of ratios, and for reviews nodes, tiers and deduced rows.
    model : Model, optional
        What axes change; default that of the review's first model for the question, else `Model()`.
    engine : str
        Where it is no axis.
    scale : str, optional
        Measure on which estimates are stated; default that of the network, and RD when the measure is an axis.
    baseline_risk : float, optional
        Risk with the comparator, for RD; default the pooled risk of its arms.
    mid : float, optional
        Smallest difference that matters, on the scale people read; default that of the outcome.
    evidence : Evidence, optional
        Default that of the review's folder.
    seed, draws : int
    executor, workers, progress, cache : optional
        As for `execute.map`; `execute.cluster(address)` is an executor.

    Returns
    -------
    Multiverse

    Raises
    ------
    UsageError
        For names, axes or values that are not known, or a scale on which estimates cannot be stated.

    Examples
    --------
    >>> import enthesis as en
    >>> rows = [dict(study=i, treatment=t, events=r, n=50) for i in (1, 2, 3) for t, r in (("A", 5 + i), ("B", 12))]
    >>> found = multiverse(en.from_table(rows, measure="OR", reference="A"), comparison=("B", "A"),
    ...                    axes={"engine": "laplace, gls", "heterogeneity": "random, common"})
    >>> found.summary()["specifications"], found.table["status"].unique().tolist()
    (4, ['ok'])
    """
    treatment, comparator = comparison
    if isinstance(source, Network):
        base = of_network(source)
        if question is not None or evidence is not None:
            raise UsageError("question and evidence belong to a review; a network has neither.")
    else:
        base = of_review(source, question, evidence)
    base.require(treatment, comparator)
    if treatment == comparator:
        raise UsageError(f"{treatment!r} is compared with itself; name another comparator.")
    chosen = checked_axes(axes, review=base.review) if axes else default_axes([base.measure], review=base.review)
    model = model or base.model
    base.require_measures(chosen.get("measure", ()))
    engine = AXES["engine"].text(engine)
    scale, risk = _scale(base, chosen.get("measure", (base.measure,)), scale, comparator, baseline_risk)
    plain = {"engine": engine, "heterogeneity": "common" if isinstance(model.heterogeneity, Common) else "random"}
    settings = _settings(base, chosen, plain)
    begun = [
        _specification(base, s, model, engine, (treatment, comparator), scale, risk, seed, draws) for s in settings
    ]
    todo = [s for _, s in begun if isinstance(s, Specification)]
    done = iter(map_tasks(estimate_of, todo, executor=executor, workers=workers, progress=progress, cache=cache,
                          lost=lost))  # fmt: skip
    rows = []
    for setting, (nodes, found) in zip(settings, begun, strict=True):
        estimate = next(done) if isinstance(found, Specification) else failed(found)
        key = task_key(estimate_of, found) if isinstance(found, Specification) else content_hash((setting, found))
        rows.append(_row(setting, nodes, estimate, key))
    return Multiverse(
        table=_frame(rows, chosen), axes=chosen, treatment=treatment, comparator=comparator, scale=scale,
        baseline_risk=risk, mid=base.limit(scale, mid), better=base.network.better, title=base.network.title,
    )  # fmt: skip


def _scale(
    base: Alternatives, measures: tuple[str, ...], scale: str | None, comparator: str, risk: float | None
) -> tuple[str, float | None]:
    """The measure on which estimates are stated, and the risk with the comparator where that needs one."""
    scale = measure(scale).name if scale else measures[0] if len(measures) == 1 else "RD"
    if set(measures) == {scale}:
        return scale, None
    if scale != "RD" or not set(measures) <= {"OR", "RR", "RD"}:
        raise UsageError(
            f"estimates of {', '.join(measures)} cannot be stated as {scale}. Odds ratios, risk ratios and risk "
            "differences can be stated together as RD; other measures only as they are, one at a time."
        )
    risk = base.risk(comparator) if risk is None else risk
    if risk is None or not 0 < risk < 1:
        raise UsageError(
            f"no risk with {comparator!r} between 0 and 1 is known, at which ratios could be stated as risk "
            "differences. Give baseline_risk."
        )
    return scale, risk


def _row(setting: Mapping[str, str], nodes: tuple[str, str], estimate: Estimate, key: str) -> dict[str, Any]:
    return {**setting, "treatment": nodes[0], "comparator": nodes[1], **asdict(estimate), "hash": key}


def _frame(rows: list[dict[str, Any]], axes: Mapping[str, Values]) -> pd.DataFrame:
    import pandas as pd

    order = [*axes, "treatment", "comparator", "estimate", "lower", "upper", "n_studies", "n_treatments", "tau",
             "pareto_k", "effective_draws", "status", "message", "hash"]  # fmt: skip
    return pd.DataFrame(rows, columns=order)


def _settings(
    base: Alternatives, axes: Mapping[str, tuple[str, ...]], plain: Mapping[str, str]
) -> list[dict[str, str]]:
    """Every setting once, in the order of the axes."""
    axes = dict(axes)
    if "without" in axes:
        axes["without"] = _studies(base, axes)
    size = int(np.prod([len(v) for v in axes.values()], dtype=float))
    if size > MOST:
        raise UsageError(f"the axes give {size:,} specifications; at most {MOST:,} are run. Give fewer values.")
    found: dict[tuple, dict[str, str]] = {}
    for setting in _product(axes):
        network = base.at({n: v for n, v in setting.items() if AXES[n].kind in ("question", "measure")})
        study = setting.get("without", NONE)
        if isinstance(network, Network) and study != NONE and study not in network.studies:
            continue
        setting = without_what_does_not_matter(setting, exact=_exact(network), base=plain)
        found.setdefault(tuple(setting.items()), setting)
    return list(found.values())


def _product(axes: Mapping[str, tuple[str, ...]]) -> Iterator[dict[str, str]]:
    return (dict(zip(axes, values, strict=True)) for values in product(*axes.values()))


def _studies(base: Alternatives, axes: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Values of `without`, `each` written out over all networks; UsageError for a study that none has."""
    shaping = {n: v for n, v in axes.items() if AXES[n].kind in ("question", "measure")}
    networks = [n for setting in _product(shaping) if isinstance(n := base.at(setting), Network)]
    known = tuple(dict.fromkeys(s for n in (base.network, *networks) for s in n.studies))
    values: list[str] = []
    for value in axes["without"]:
        if value not in (NONE, EACH, *known):
            raise unknown_name("study", value, (NONE, EACH, *known))
        values += known if value == EACH else (value,)
    return tuple(dict.fromkeys(values))


def _exact(network: Network | str) -> bool:
    """Whether all arms have a likelihood of their own on the network's measure."""
    return isinstance(network, Network) and all(
        not isinstance(b, Contrasts) and (b.kind, network.measure.name) in EXACT | ON_REQUEST for b in network.blocks
    )


def _specification(
    base: Alternatives, setting: Mapping[str, str], model: Model, engine: str, names: tuple[str, str], scale: str,
    risk: float | None, seed: int, draws: int,
) -> tuple[tuple[str, str], Specification | str]:  # fmt: skip
    """The nodes compared and the specification, or the sentence that says why there is none."""
    network = base.at(setting)
    if isinstance(network, str):
        return ("", ""), network
    try:
        nodes = (base.node(network, names[0]), base.node(network, names[1]))
        if nodes[0] == nodes[1]:
            raise UsageError(f"{names[0]!r} and {names[1]!r} are one node, {nodes[0]!r}, at this resolution.")
    except EnthesisError as problem:
        return ("", ""), str(problem)
    made = Specification(
        network=network, model=model_of({"engine": engine, **setting}, model),
        engine=setting.get("engine", engine), treatment=nodes[0],
        comparator=nodes[1], scale=scale, baseline_risk=None if network.measure.name == scale else risk,
        seed=seed, draws=draws,
    )  # fmt: skip
    return nodes, made


__all__ = ["Multiverse", "multiverse"]
