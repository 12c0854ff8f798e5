"""`enthesis fit TABLE`: a network meta-analysis of a user's own table, for people and, with `--json`, for programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from enthesis.cli.printing import plain, print_table, working, writable, write_text

if TYPE_CHECKING:
    from enthesis.inference.fit import Fit
    from enthesis.models.model import Model
    from enthesis.network.measures import ContinuityCorrection

app = typer.Typer()


@app.command()
def fit(
    table: Annotated[
        Path,
        typer.Argument(metavar="TABLE", help="Table of arms or contrasts: CSV, TSV or semicolons.", readable=False),
    ],
    measure: Annotated[
        str | None,
        typer.Option(
            help="OR, RR, RD, ASD, PROBIT, MD, SMD, SMDH, ROM, IRR, IRD, HR or EFFECT.", show_default="by columns"
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Treatment that others are expressed against.", show_default="placebo, control")
    ] = None,
    effects: Annotated[
        Literal["random", "common"] | None,
        typer.Option(help="Do effects vary between studies?", show_default="random; common for mh, nch, plr"),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="auto, laplace, nuts (Bayesian), gls (frequentist); for rare events mh, nch, nch-approximate, plr."
        ),
    ] = "auto",
    tau: Annotated[
        str | None, typer.Option(help="Estimator of tau for gls: REML, ML, DL, PM, ...", show_default="REML")
    ] = None,
    ci: Annotated[
        str, typer.Option(help="Intervals of gls: normal, t, knapp-hartung or knapp-hartung-truncated.")
    ] = "normal",
    tau_interval: Annotated[
        str | None,
        typer.Option(help="Interval for tau of gls: Q-profile or 'profile likelihood'.", show_default="Q-profile"),
    ] = None,
    prediction: Annotated[
        str | None,
        typer.Option(
            help="Prediction intervals of gls: V (t on df of Q), HTS (one less), S (normal).", show_default="V"
        ),
    ] = None,
    components: Annotated[
        bool, typer.Option("--components", help="Additive effects of the parts of combinations such as 'A + B'.")
    ] = False,
    inactive: Annotated[
        str | None, typer.Option(help="With --components: the part without effect, such as placebo.")
    ] = None,
    correction: Annotated[
        float | None, typer.Option(help="Added to the cells of a comparison with a zero cell.", show_default="0.5")
    ] = None,
    correction_scope: Annotated[
        str | None,
        typer.Option(help="Where it is added: comparison, study, all or none.", show_default="comparison"),
    ] = None,
    double_zero: Annotated[
        str | None,
        typer.Option(help="Studies without events on a ratio: 'left out' or corrected.", show_default="left out"),
    ] = None,
    prior_tau: Annotated[
        str | None, typer.Option(help="Prior of tau, such as 'uniform(0,5)'.", show_default="half-normal(1)")
    ] = None,
    prior_d: Annotated[
        str | None, typer.Option(help="Prior of each effect, a normal.", show_default="normal(0,100)")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="FILE",
            help="Model file (TOML) for what options do not say; options given here count instead of its keys.",
        ),
    ] = None,
    better: Annotated[
        Literal["higher", "lower"] | None, typer.Option(help="Is a higher or a lower outcome better?")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            help="Which column is what, such as events=responders, or levels=acr20,acr50,acr70; repeatable.",
        ),
    ] = None,
    level_counts: Annotated[
        str | None,
        typer.Option(help="With levels: cumulative (all who reached the level) or exclusive (reached no higher one)."),
    ] = None,
    repeated_arms: Annotated[
        str, typer.Option(help="Groups on one treatment in a study: 'added up' or apart.")
    ] = "added up",
    assess: Annotated[
        bool | None,
        typer.Option(
            "--assess/--no-assess",
            help="Add consistency, netsplit, decomposition and contribution to the JSON.",
            show_default="gls, up to 60 treatments",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draws of Bayesian engines.")] = 1,
    draws: Annotated[int, typer.Option(help="Number of draws of Bayesian engines.")] = 4000,
    as_json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result as JSON; - is standard output.")
    ] = None,
) -> None:
    """Fit a network meta-analysis to a table of studies.

    The layout of the table is recognised by its columns and said back. Estimates in the JSON are on the model's scale
    (log for ratios) with 95 % intervals; docs/reference/fit-json.md describes it.

    Exit codes: 0 fine, 2 usage, 3 bad data, 4 fitted but the status is not ok.

    Example: enthesis fit trials.csv --measure OR --reference placebo --json result.json
    """
    from enthesis.inference.fit import fit as fitted
    from enthesis.inference.rare import RARE_ENGINES
    from enthesis.models.heterogeneity import Common
    from enthesis.network.tables import from_table

    if model is not None:
        chosen, set_in_file = _from_file(model, effects, prior_tau, prior_d, components, inactive)
        engine = set_in_file.get("engine", "auto") if engine == "auto" else engine
        tau = tau or set_in_file.get("tau")
        seed = set_in_file.get("seed", seed) if seed == 1 else seed
        draws = set_in_file.get("draws", draws) if draws == 4000 else draws
        effects = "common" if isinstance(chosen.heterogeneity, Common) else "random"
    else:
        effects = effects or ("common" if engine in RARE_ENGINES else "random")
        chosen = _model(effects, prior_tau, prior_d, components, inactive)
    if as_json and as_json != "-":
        writable(Path(as_json), inputs=(table, model))
    for note in _unused(engine, effects, tau, prior_tau, prior_d):
        print(f"note: {note}", file=sys.stderr)
    with working("Fitting"):
        network = from_table(table, measure=measure, reference=reference, better=better, columns=_columns(column),
                             level_counts=level_counts, repeated_arms=repeated_arms,
                             correction=_correction(correction, correction_scope, double_zero))  # fmt: skip
        if model is None and prior_tau is None and effects == "random" and engine in ("auto", "laplace", "nuts"):
            _note_unit(network.measure.name)
        result = fitted(network, chosen, engine=engine, tau=tau or "REML", tau_interval=tau_interval or "Q-profile",
                        ci=ci, prediction=prediction or "V", seed=seed, draws=draws)  # fmt: skip
        told = json.dumps(_told(result, assess), ensure_ascii=False, indent=2, allow_nan=False) if as_json else ""
    if as_json == "-":
        print(told)
    else:
        if as_json:
            write_text(Path(as_json), told + "\n")
            print(f"The result is in {plain(as_json)}", file=sys.stderr)
        _print(result)
    if not result.status.ok:
        print(f"enthesis: {plain(result.status.message)}", file=sys.stderr)
        raise typer.Exit(4)


def _told(result: Fit, assess: bool | None) -> dict[str, Any]:
    from enthesis.assess.as_json import UNASKED, assessment_json
    from enthesis.assess.components import component_effects
    from enthesis.estimands import fit_json
    from enthesis.estimands import plain as plain_values
    from enthesis.models.effects import Components, PerTreatment

    if assess is None:
        plain_effects = type(result.model.effects) is PerTreatment
        assess = result.engine == "gls" and plain_effects and result.network.n_treatments <= UNASKED
    told = fit_json(result) | (assessment_json(result) if assess else {})
    if isinstance(result.model.effects, Components):
        told["components"] = plain_values(component_effects(result).to_dict("records"))
    return told


def _model(
    effects: str, prior_tau: str | None, prior_d: str | None, components: bool = False, inactive: str | None = None
) -> Model:
    from enthesis.errors import UsageError
    from enthesis.models.effects import Components, PerTreatment
    from enthesis.models.heterogeneity import Common, Exchangeable
    from enthesis.models.model import Model
    from enthesis.models.priors import Normal, parse_prior

    model = Model(heterogeneity=Common() if effects == "common" else Exchangeable())
    if prior_tau and effects == "random":
        sd = parse_prior(prior_tau)
        if sd.support[0] < 0:
            raise UsageError(f"--prior-tau {prior_tau!r} allows values below 0, and tau is a standard deviation.")
        model = model.replace(heterogeneity=Exchangeable(sd=sd))
    if prior_d:
        d = parse_prior(prior_d)
        if not isinstance(d, Normal):
            raise UsageError(f"--prior-d must be a normal, such as 'normal(0,100)', not {prior_d!r}.")
        model = model.replace(effects=PerTreatment(prior=d))
    if components:
        model = model.replace(effects=Components(inactive=inactive, prior=model.effects.prior))
    elif inactive:
        raise UsageError("--inactive names the component without effect: give --components too.")
    return model


def _from_file(
    path: Path, effects: str | None, prior_tau: str | None, prior_d: str | None, components: bool, inactive: str | None
) -> tuple[Model, dict[str, Any]]:
    """The model of a file, options counting instead of its keys, and how the file says it is fitted."""
    from enthesis.models.file import read_model

    given: dict[str, Any] = {"effects": effects, "prior_tau": prior_tau, "prior_d": prior_d}
    if components:
        given["treatments"] = {"kind": "components"} | ({"inactive": inactive} if inactive else {})
    found = read_model(path, override={key: value for key, value in given.items() if value is not None})
    return found.model, found.fit


def _correction(amount: float | None, scope: str | None, double_zero: str | None) -> ContinuityCorrection | None:
    from enthesis.network.measures import ContinuityCorrection

    given = {"amount": amount, "scope": scope, "double_zero": double_zero}
    chosen = {name: value for name, value in given.items() if value is not None}
    return ContinuityCorrection(**chosen) if chosen else None


def _unused(engine: str, effects: str, tau: str | None, prior_tau: str | None, prior_d: str | None) -> list[str]:
    notes = []
    if tau and engine != "gls":
        notes.append("--tau is an estimator of the engine gls; this fit does not use it.")
    if (prior_tau or prior_d) and engine not in ("auto", "laplace"):
        notes.append(f"the engine {engine} uses no priors; --prior-tau and --prior-d do not change this fit.")
    if (tau or prior_tau) and effects == "common":
        notes.append("with common effects there is no tau; --tau and --prior-tau do not change this fit.")
    return notes


def _note_unit(measure: str) -> None:
    """The default prior of tau suits log ratios and standardised differences, not an outcome in its own unit."""
    why = {
        "MD": "MD is in the unit of the outcome",
        "IRD": "IRD is in the unit of the rates",
        "EFFECT": "nobody said what the effects are (--measure OR for log odds ratios)",
    }.get(measure)
    if why:
        print(
            f"note: tau has the default prior half-normal(1), and {why}: say --prior-tau 'half-normal(S)', S a "
            "difference between studies that would be large.",
            file=sys.stderr,
        )


def _columns(pairs: list[str] | None) -> dict[str, str] | None:
    from enthesis.errors import UsageError

    columns = {}
    for pair in pairs or ():
        role, sign, header = pair.partition("=")
        if not (sign and role.strip() and header.strip()):
            raise UsageError(f"--column {pair[:60]!r} must be role=column, such as events=responders.")
        columns[role.strip()] = header.strip()
    return columns or None


def _print(result: Fit) -> None:
    from enthesis.estimands import parameters, ranks, relative_effects

    network, back = result.network, result.network.measure.back_transform
    print(plain(str(network)))
    for note in (e for e in network.ledger if e.action == "note" and e.rule == "columns"):
        print(plain(f"  {note.reason}"))
    print(plain(f"\n{result}\n"))
    table = relative_effects(result, comparator=result.reference)
    print_table(
        f"{network.measure.label} against {result.reference}, 95 % interval",
        ["treatment", network.measure.name, "lower", "upper"],
        [
            [row.treatment, *(f"{back(x):.3g}" for x in (row.estimate, row.lower, row.upper))]
            for row in table.itertuples()
        ],
    )
    further = parameters(result)
    further = further[~further["parameter"].str.startswith("d[") & (further["parameter"] != "tau")]
    print_table(
        "Further parameters, on the model's scale",
        ["parameter", "estimate", "lower", "upper"],
        [[row.parameter, *(f"{x:.3g}" for x in (row.estimate, row.lower, row.upper))] for row in further.itertuples()],
    )
    ranked = ranks(result).sort_values("p_score", ascending=False)
    if network.better and ranked["p_score"].notna().all():
        print_table(
            f"Ranks ({network.better} is better): they say nothing about size or certainty",
            ["treatment", "P-score", "SUCRA", "mean rank"],
            [[r.treatment, f"{r.p_score:.2f}", f"{r.sucra:.2f}", f"{r.mean_rank:.1f}"] for r in ranked.itertuples()],
        )
    for title, action in (("Left out", "excluded"), ("Changed", "changed")):
        entries = [e for e in network.ledger if e.action == action]
        print_table(
            title,
            ["study", "arm", "rule", "reason"],
            [[e.study, e.arm, e.rule, e.reason] for e in entries[:50]],
        )
        if len(entries) > 50:
            print(f"and {len(entries) - 50} more (all of them with --json)")
