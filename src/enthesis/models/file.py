"""Models as TOML files: everything a `Model` can say, read with errors that name file, key, value and mend.

    effects = "random"                 # or "common"
    prior_tau = "half-normal(1)"
    prior_d = "normal(0, 100)"
    [regression]
    kind = "covariate"
    covariate = "year"

Keys beside the model's own (`title`, `engine`, `seed`, `draws`, `tau`) say how it is fitted; those of a review's model
files (`id`, `role`, `only_outcomes`, ...) are let pass, so that such a file serves here too. The keys are in
docs/reference/model-file.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from enthesis.errors import DataError, EnthesisError, unknown_name
from enthesis.models.baseline import Independent
from enthesis.models.consistency import Consistent, DesignByTreatment, NodeSplit, UnrelatedMeanEffects
from enthesis.models.effects import ClassEffects, Components, PerTreatment
from enthesis.models.heterogeneity import Common, Exchangeable
from enthesis.models.likelihoods import LikelihoodChoice
from enthesis.models.model import Model
from enthesis.models.priors import (
    HalfCauchy,
    HalfNormal,
    LogNormal,
    LogStudentT,
    Normal,
    OnVariance,
    Prior,
    Uniform,
    parse_prior,
)
from enthesis.models.regression import BaselineRisk, Interactions, Regression
from enthesis.network.settings import read_toml, toml_value

#: how a model is fitted, which a model file may say beside the model
FIT_KEYS = ("engine", "seed", "draws", "tau")
#: what a review's model files say beside the model
REVIEW_KEYS = ("id", "role", "prior_tau_for", "only_outcomes", "not_outcomes", "only_questions")
_WORDS = {Normal: "normal", Uniform: "uniform", HalfNormal: "half-normal", HalfCauchy: "half-cauchy",
          LogNormal: "log-normal", LogStudentT: "log-student-t"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """What a model file says.

    Parameters
    ----------
    model : Model
    title : str
        The file's `title`, else its name without `.toml`.
    fit : dict
        engine, seed, draws, tau: as the file gives them.
    """

    model: Model
    title: str
    fit: dict[str, Any]


def read_model(path: str | Path, *, override: Mapping[str, Any] | None = None) -> ModelFile:
    """A model file.

    Parameters
    ----------
    path : str or Path
    override : mapping of key to value, optional
        Top-level keys that count instead of the file's, such as options of a command.

    Returns
    -------
    ModelFile

    Raises
    ------
    DataError
        When the file is not TOML, or a key or value cannot be used: file, key, value, and what to do.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "vague.toml"
    ...     _ = path.write_text('prior_tau = "uniform(0, 5)"')
    ...     read_model(path).model.heterogeneity.sd
    Uniform(lower=0.0, upper=5.0)
    """
    path = Path(path)
    raw = {**read_toml(path), **(override or {})}
    extra = {key: raw.pop(key) for key in ("title", *FIT_KEYS, *REVIEW_KEYS) if key in raw}
    model = model_from(raw, file=path.name, beside=("title", *FIT_KEYS, *REVIEW_KEYS))
    given = _Table(extra, path.name, "")
    title = given.take("title", _text) if "title" in extra else path.stem
    kinds = {"engine": _text, "seed": _whole, "draws": _whole, "tau": _text}
    return ModelFile(model=model, title=title, fit={k: given.take(k, kinds[k]) for k in FIT_KEYS if k in extra})


def model_from(raw: Mapping[str, Any], *, file: str = "model", beside: tuple[str, ...] = ()) -> Model:
    """A model from the tables of a model file.

    Parameters
    ----------
    raw : mapping
        The keys of the model: effects, prior_tau, tau_by, prior_d, prior_baseline, likelihood, treatments,
        consistency, regression.
    file : str
        For messages.
    beside : tuple of str
        Further keys that messages list as known.

    Returns
    -------
    Model

    Raises
    ------
    DataError

    Examples
    --------
    >>> model_from({"effects": "common", "treatments": {"kind": "components"}}).describe()
    'common effects; additive components, each ~ normal(0, 100)'
    """
    top = _Table(dict(raw), file, "")
    effects = top.take("effects", _one_of("random", "common"), "random")
    sd = top.take("prior_tau", _spread, HalfNormal(1.0))
    by = top.take("tau_by", _one_of("all", "class"), "all")
    d = top.take("prior_d", _normal, Normal(0, 100))
    baseline = top.take("prior_baseline", _normal, Normal(0, 100))
    likelihood = top.take("likelihood", _one_of(*get_args(LikelihoodChoice)), "usual")
    parts = {name: top.table(name) for name in ("treatments", "consistency", "regression")}
    top.finish(beside)
    return Model(
        effects=_effects(parts["treatments"], d),
        heterogeneity=Common() if effects == "common" else Exchangeable(sd=sd, by=by),
        baseline=Independent(prior=baseline),
        consistency=_consistency(parts["consistency"]),
        regression=_regression(parts["regression"]),
        likelihood=likelihood,
    )


def model_toml(model: Model, *, title: str = "") -> str:
    """A model as the text of a model file; `model_from` gives the model back.

    Parameters
    ----------
    model : Model
    title : str

    Returns
    -------
    str

    Examples
    --------
    >>> print(model_toml(Model(heterogeneity=Common()), title="Common effects"))
    title = "Common effects"
    effects = "common"
    prior_d = "normal(0, 100)"
    prior_baseline = "normal(0, 100)"
    likelihood = "usual"
    <BLANKLINE>
    """
    top: dict[str, Any] = {"title": title} if title else {}
    if isinstance(model.heterogeneity, Exchangeable):
        top |= {"effects": "random", "prior_tau": model.heterogeneity.sd, "tau_by": model.heterogeneity.by}
    else:
        top |= {"effects": "common"}
    top |= {"prior_d": model.effects.prior, "prior_baseline": model.baseline.prior, "likelihood": model.likelihood}
    tables = {
        "treatments": (_EFFECTS, model.effects, ("prior",)),
        "consistency": (_CONSISTENCY, model.consistency, ()),
        "regression": (_REGRESSION, model.regression, ()),
    }
    lines = [f"{key} = {_written(value)}" for key, value in top.items()]
    for name, (kinds, part, elsewhere) in tables.items():
        if part is None or isinstance(part, PerTreatment | Consistent):
            continue
        kind = next(word for word, known in kinds.items() if known is type(part))
        lines += ["", f"[{name}]", f'kind = "{kind}"']
        values = {f.name: getattr(part, f.name) for f in fields(part) if f.name not in elsewhere}
        lines += [f"{key} = {_written(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def prior_text(prior: Prior) -> str:
    """A prior as `parse_prior` reads it, with all digits.

    Examples
    --------
    >>> prior_text(OnVariance(LogNormal(-3.93, 1.51)))
    'log-normal(-3.93, 1.51) on variance'
    """
    if isinstance(prior, OnVariance):
        return f"{prior_text(prior.prior)} on variance"
    numbers = ", ".join(_number_text(getattr(prior, f.name)) for f in fields(prior))
    return f"{_WORDS[type(prior)]}({numbers})"


_EFFECTS = {"per treatment": PerTreatment, "class": ClassEffects, "components": Components}
_CONSISTENCY = {"consistent": Consistent, "node split": NodeSplit, "unrelated mean effects": UnrelatedMeanEffects,
                "design by treatment": DesignByTreatment}  # fmt: skip
_REGRESSION = {"covariate": Regression, "baseline risk": BaselineRisk}


class _Table:
    """A table of a model file, whose keys are taken one by one; what is left over is refused."""

    def __init__(self, raw: dict[str, Any], file: str, name: str) -> None:
        self.raw, self.file, self.name = raw, file, name
        self.known: list[str] = []

    def key(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def take(self, key: str, read: Callable[[Any], Any], default: Any = None) -> Any:
        """The value of a key, or the default."""
        self.known.append(key)
        if key not in self.raw:
            return default
        value = self.raw[key]
        try:
            return read(value)
        except EnthesisError as problem:
            what = str(problem)
        raise DataError(f"cannot be used: {what}", file=self.file, column=self.key(key), value=value)

    def need(self, key: str, read: Callable[[Any], Any]) -> Any:
        """The value of a key that must be there."""
        if key not in self.raw:
            raise DataError(
                "is missing", file=self.file, column=self.key(key), fix=f"Write {key} = ... in [{self.name}]."
            )
        return self.take(key, read)

    def table(self, key: str) -> _Table | None:
        """A table inside."""
        self.known.append(key)
        if key not in self.raw:
            return None
        if not isinstance(self.raw[key], Mapping):
            raise DataError("must be a table", file=self.file, column=self.key(key), value=self.raw[key],
                            fix=f"Write [{key}] and its keys below.")  # fmt: skip
        return _Table(dict(self.raw[key]), self.file, key)

    def finish(self, beside: tuple[str, ...] = ()) -> None:
        """Refuse keys that nobody took."""
        for key in self.raw:
            if key not in self.known:
                where = f"the table [{self.name}]" if self.name else "a model file"
                hint = str(unknown_name("key", key, [*self.known, *beside], show=40))
                raise DataError(f"is not a key of {where}", file=self.file, column=self.key(key), fix=hint)


def _effects(table: _Table | None, d: Normal):
    if table is None:
        return PerTreatment(prior=d)
    kind = table.take("kind", _one_of(*_EFFECTS), "per treatment")
    if kind == "class":
        part = ClassEffects(
            sd=table.take("sd", _spread, HalfNormal(1.0)), per_class=table.take("per_class", _flag, False), prior=d
        )
    elif kind == "components":
        part = Components(
            separator=table.take("separator", _text, "+"), inactive=table.take("inactive", _text, None), prior=d
        )
    else:
        part = PerTreatment(prior=d)
    table.finish()
    return part


def _consistency(table: _Table | None):
    if table is None:
        return Consistent()
    kind = table.need("kind", _one_of(*_CONSISTENCY))
    vague = Normal(0, 100)
    if kind == "node split":
        part = NodeSplit(
            treatment=table.need("treatment", _text),
            comparator=table.need("comparator", _text),
            prior=table.take("prior", _normal, vague),
        )
    elif kind == "unrelated mean effects":
        part = UnrelatedMeanEffects(prior=table.take("prior", _normal, vague))
    elif kind == "design by treatment":
        part = DesignByTreatment(sd=table.take("sd", _spread, HalfNormal(1.0)))
    else:
        part = Consistent()
    table.finish()
    return part


def _regression(table: _Table | None):
    if table is None:
        return None
    kind = table.need("kind", _one_of(*_REGRESSION))
    shared = {
        "interactions": table.take("interactions", _one_of(*get_args(Interactions)), "common"),
        "centre": table.take("centre", _number, None),
        "prior": table.take("prior", _normal, Normal(0, 100)),
        "sd": table.take("sd", _spread, HalfNormal(1.0)),
    }
    if kind == "covariate":
        part = Regression(covariate=table.need("covariate", _text), scale=table.take("scale", _positive, 1.0), **shared)
    else:
        part = BaselineRisk(**shared)
    table.finish()
    return part


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise EnthesisError("it must be a text in quotes.")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EnthesisError("it must be true or false, without quotes.")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise EnthesisError("it must be a finite number, without quotes.")
    return value


def _positive(value: Any) -> float:
    if not _number(value) > 0:
        raise EnthesisError("it must be above 0.")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise EnthesisError("it must be a whole number, without quotes.")
    return value


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise unknown_name("value", value, words)
        return value

    return read


def _prior(value: Any) -> Prior:
    return parse_prior(_text(value))


def _normal(value: Any) -> Normal:
    prior = _prior(value)
    if not isinstance(prior, Normal):
        raise EnthesisError("it must be a normal distribution, such as 'normal(0, 100)'.")
    return prior


def _spread(value: Any) -> Prior:
    prior = _prior(value)
    if prior.support[0] < 0:
        raise EnthesisError("it allows values below 0, and a standard deviation has none; 'half-normal(1)' is one.")
    return prior


def _written(value: Any) -> str:
    return toml_value(prior_text(value) if hasattr(value, "log_density") else value)


def _number_text(value: float) -> str:
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
