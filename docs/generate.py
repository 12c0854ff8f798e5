"""Write the pages of docs/reference: read from the program, so that they cannot say anything else.

`make reference` writes them; a test fails while they are not current.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parent / "reference"
EXIT_CODES = """\
| Code | Means |
| --- | --- |
| 0 | fine |
| 1 | an error of the program or the machine |
| 2 | usage: an option or a name that cannot be used |
| 3 | bad data: the message says file, row, column, value and what to do |
| 4 | computed and written, but the status is not ok |
"""
#: what an arm must have, by the kind of data of a measure
NEEDS = {
    "counts": "events, n",
    "means": "mean with sd and n, or se",
    "rates": "events, time_at_risk",
    "followup": "events, n, follow-up",
    None: "contrasts only",
}
FIT_JSON = """\
# The JSON of `enthesis fit`

`enthesis fit TABLE --json FILE` writes the result as one JSON object; `--json -` prints it. Later
versions may add keys, and rename or remove none without saying so in the changelog. The schema ships
with the package as `enthesis/schemas/fit.schema.json`, and a test holds real results against it.

Effects are treatment minus comparator on the model's scale (log for ratios), with 95 % intervals.
Bayesian engines give the posterior mean as `estimate`, the posterior standard deviation as `se`, and
equal-tailed intervals. A number that does not exist is `null`.

| Key | Type | Meaning |
| --- | --- | --- |
{rows}

The same object in Python: `en.fit_json(fit)`; the keys of `--assess` are those of
`enthesis.assess.as_json.assessment_json(fit)`.

## Exit codes

{codes}"""
MEASURES_PAGE = """\
# Effect measures

An effect is treatment minus comparator on the measure's scale; on the log scale `exp` gives the ratio.
The likelihood is what the Bayesian engine uses for arm data; the engine `gls` works on contrasts.

| Name | In words | Scale | No difference | Arms need | Likelihood |
| --- | --- | --- | --- | --- | --- |
{rows}
"""
OUTCOMES_PAGE = """\
# Outcomes

What each outcome code of the evidence tables means, which direction is good, and which difference
matters (on the scale people read). Written in `network/outcomes.toml`, where the source of each
difference stands.

| Code | Outcome | Domain | Reported as | Better | Measure | Important difference |
| --- | --- | --- | --- | --- | --- | --- |
{rows}
"""


def pages() -> dict[str, str]:
    """Every generated page by file name."""
    made = {
        "cli.md": cli(),
        "fit-json.md": fit_json(),
        "measures.md": measures(),
        "outcomes.md": outcomes(),
        "api.md": api(),
    }
    note = "<!-- Written by docs/generate.py (`make reference`); edit the program, not this page. -->\n\n"
    return {name: note + text.rstrip() + "\n" for name, text in made.items()}


def commands(command: Any = None, path: tuple[str, ...] = ("enthesis",)) -> Iterator[tuple[str, Any]]:
    """Every command and group of the program with the words that call it, groups first."""
    import typer

    from enthesis.cli.main import app

    command = command or typer.main.get_command(app)
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


def help_text(name: str, command: Any) -> str:
    """The help of a command, 100 columns wide, as the terminal shows it."""
    with command.context_class(command, info_name=name, terminal_width=100, max_content_width=100) as context:
        return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def cli() -> str:
    """The command line."""
    parts = [
        "# Command line\n\nData go to standard output; progress, notes and errors to standard error. An error is one "
        f"sentence; `enthesis --debug ...` shows where an unexpected one came from.\n\n{EXIT_CODES}"
    ]
    parts += [f"## {name}\n\n```text\n{help_text(name, command)}\n```\n" for name, command in commands()]
    return "\n".join(parts)


def fit_json() -> str:
    """The contract of `enthesis fit --json`."""
    schema = json.loads((files("enthesis") / "schemas" / "fit.schema.json").read_text(encoding="utf-8"))
    rows = []
    for key, what in schema["properties"].items():
        item = what.get("items", what)
        fields = ", ".join(f"`{field}`" for field in item.get("properties", {}))
        if item.get("$ref") == "#/$defs/effect":
            fields = ", ".join(f"`{field}`" for field in schema["$defs"]["effect"]["properties"])
        told = what.get("description", "")
        inside = f" {'Each with' if what.get('type') == 'array' else 'With'} {fields}." if fields else ""
        rows.append(f"| `{key}` | {_kind(what)} | {told}{inside} |")
    return FIT_JSON.format(rows="\n".join(rows), codes=EXIT_CODES)


def _kind(what: dict[str, Any]) -> str:
    if "enum" in what:
        return " or ".join(f"`{value}`" for value in what["enum"])
    kind = what.get("type", "object")
    return " or ".join(kind) if isinstance(kind, list) else kind


def measures() -> str:
    """The effect measures, and which likelihood each has on which data."""
    from enthesis.models.likelihoods import EXACT
    from enthesis.network.measures import MEASURES

    rows = []
    for m in MEASURES.values():
        exact = "; ".join(_density(x, kind) for (kind, name), x in EXACT.items() if name == m.name)
        cells = (f"`{m.name}`", m.label, m.scale, f"{m.null:g}", NEEDS[m.kind], exact or "normal, of contrasts")
        rows.append(f"| {' | '.join(cells)} |")
    return MEASURES_PAGE.format(rows="\n".join(rows))


def _density(likelihood: Any, kind: str) -> str:
    return f"{type(likelihood).__name__}, {likelihood.link.name} link ({kind})"


def outcomes() -> str:
    """The outcomes of the bundled review, with direction and minimally important difference."""
    from enthesis.network.outcomes import outcomes as known

    rows = []
    for o in known().values():
        mid = "; ".join(f"{name} {value:g}" for name, value in o.mid.items()) or "none sourced"
        cells = (f"`{o.code}`", o.label, o.domain, ", ".join(o.kinds), o.better, o.measure, mid)
        rows.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return OUTCOMES_PAGE.format(rows="\n".join(rows))


def api() -> str:
    """The public names, by the layer they come from."""
    import enthesis

    titles = {
        "evidence": "Evidence: what was reported",
        "network": "Network: what is compared",
        "models": "Model: what is believed",
        "inference": "Fit: what follows",
        "estimands": "Estimands: what is read off",
        "assess": "Assess: how far to trust it",
        "living": "Reviews",
        "errors": "Errors",
    }
    parts = [
        "# Python",
        "",
        "`import enthesis as en` loads nothing until a name is used. These are its public names.",
        "",
    ]
    for layer, title in titles.items():
        parts += [f"## {title}", "", "```{eval-rst}"]
        for module, names in enthesis._HOME.items():
            if module.split(".")[1] == layer:
                parts += [_directive(module, name) for name in names]
        parts += ["```", ""]
    return "\n".join(parts)


def _directive(module: str, name: str) -> str:
    import inspect

    import enthesis

    value = getattr(enthesis, name)
    if inspect.isclass(value):
        return f".. autoclass:: {module}.{name}\n   :members:\n   :no-index:\n"
    if callable(value):
        return f".. autofunction:: {module}.{name}\n   :no-index:\n"
    return f".. py:data:: {module}.{name}\n\n   {value.label[0].upper()}{value.label[1:]}, a `Measure`.\n"


def main() -> None:
    """Write every page."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
