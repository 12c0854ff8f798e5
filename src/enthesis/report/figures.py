"""The figures of a question: which plot, which table, and a caption that says how to read it."""

from __future__ import annotations

from typing import Any

from enthesis.report.tables import Reading, better_side, network_frame
from enthesis.report.values import Figure


def level(reading: Reading) -> str:
    """What an interval is called: credible for Bayesian fits, confidence for the others."""
    return "95 % credible interval" if reading.fit.is_bayesian else "95 % confidence interval"


def network_figure(reading: Reading) -> Figure:
    """The network graph."""
    n = reading.fit.network
    return Figure(id=f"q-{reading.id}.graph", plot="network_graph", table=network_frame(n),
                  options={"focus": reading.review.focus_class, "reference": n.reference},
                  caption="Treatments and the comparisons made in studies. Circles grow with patients, lines with "
                  "studies (the number stands on a line with two or more).")  # fmt: skip


def _forest_options(reading: Reading, left: str, right: str) -> dict[str, Any]:
    measure, mid = reading.fit.network.measure, reading.fit.network.mid
    log = measure.scale == "log"
    band = None if mid is None else (1 / mid, mid) if log else (-abs(mid), abs(mid))
    return {"measure": measure.label, "log": log, "band": band, "left": left, "right": right}


def forest_figure(reading: Reading) -> Figure:
    """Each treatment against the reference, by class, with the second model beside it."""
    classes = reading.review.treatments.classes
    table = reading.effects.assign(label=lambda d: d["treatment"],
                                   group=lambda d: [classes.get(c, c) for c in d["drug_class"]])  # fmt: skip
    if reading.answer.question.nodes == "class":
        table = table.drop(columns="group").assign(label=[classes.get(c, c) for c in table["treatment"]])
    titles = list(reading.titles.values())
    options = _forest_options(reading, *better_side(reading.fit))
    said = f"{titles[0]}: squares with {level(reading)}s"
    if "predicted_lower" in table:
        said += "; dashed: what to expect in a new study"
    if "twin" in table:
        said += f"; circles: {titles[1]}"
        options["twin"] = titles[1].split(",")[0].lower()
    return Figure(id=f"q-{reading.id}.forest", plot="forest", table=table, options=options,
                  caption=f"Each treatment against {reading.fit.reference}. {said}."
                  + (" Shaded: differences too small to matter." if options["band"] else ""))  # fmt: skip


def versus_figure(reading: Reading) -> Figure:
    """Each treatment in focus against every other one."""
    table = reading.versus.assign(label=lambda d: "versus " + d["comparator"], group=lambda d: d["treatment"])
    sides = ("other better", f"{reading.review.focus_class} better")
    if reading.fit.network.better == "lower":
        sides = sides[::-1]
    return Figure(id=f"q-{reading.id}.versus-forest", plot="forest", table=table.assign(strong=table["n_direct"] > 0),
                  options=_forest_options(reading, *sides),
                  caption=f"{reading.review.focus_class} against every other treatment; red: with direct studies, "
                  "blue: indirect only. An interval across the line decides nothing.")  # fmt: skip


def league_figure(reading: Reading) -> Figure:
    """The heat map of all comparisons."""
    measure = reading.fit.network.measure
    return Figure(id=f"q-{reading.id}.league-figure", plot="league", table=reading.league,
                  options={"measure": measure.label, "log": measure.scale == "log",
                           "better": reading.fit.network.better or "higher"},
                  caption=f"Every comparison: {measure.label}, row versus column. Bold: the interval excludes no "
                  "difference. Intervals are in the table below.")  # fmt: skip
