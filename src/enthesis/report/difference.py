"""A difference between two snapshots in words, as a paragraph of a living guideline, and as plain values."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, Any

from enthesis.report.conclusions import STATE_WORDS
from enthesis.report.wording import count, interval, listed, number

if TYPE_CHECKING:
    from enthesis.living.diff import ConclusionMove, Difference, Moved, StudyMove

_KINDS = {"software": "newer code", "data": "data", "method": "method", "judgement": "judgements"}


def paragraph(told: Difference) -> str:
    """What changed, in sentences: rows, numbers with their causes, conclusions, and whether it matters.

    Parameters
    ----------
    told : Difference

    Returns
    -------
    str
    """
    sentences = [f"Snapshot {told.old.number} to {told.new.number}: {_what(told)}."]
    if told.method:
        sentences.append(f"Method: {'; '.join(told.method)}.")
    if told.software:
        sentences.append("The run before was made by older code; what that changes is counted by itself.")
    if not told.questions and not told.software:
        return " ".join([*sentences, "No question of the review has other data, so no number moved."])
    sentences += [_number(told, m) for m in _worth_telling(told)]
    moved = [
        c for c in told.conclusions if c.flipped or c.before is None or _p(c.number.path[0]) != _p(c.number.path[-1])
    ]
    sentences += [_conclusion(c) for c in moved]
    rest = len(told.conclusions) - len(moved)
    if told.conclusions and rest:
        sentences.append(
            f"The other {count(rest, 'conclusion')} did not move by 0.01." if moved else "No conclusion moved."
        )
    sentences.append(_matters(told))
    return " ".join(sentences)


def _what(told: Difference) -> str:
    parts = [
        f"{count(len(names), 'study', 'studies')} {word} ({listed(list(names)[:6])}{', …' if len(names) > 6 else ''})"
        for word in ("added", "changed", "gone")
        if (names := told.studies[word])
    ]
    judged = sum(sum(told.rows.get(name, {}).values()) for name in ("curation", "rob", "overrides"))
    if judged:
        parts.append(f"{count(judged, 'judgement')} new or changed")
    others = sum(sum(kinds.values()) for name, kinds in told.rows.items())
    return ", ".join(parts) or (f"{count(others, 'row')} changed, none of a study" if others else "nothing changed")


def _worth_telling(told: Difference) -> list[Moved]:
    """Numbers of the class in focus in the main question whose printed value changed, then those of conclusions."""
    main = told.review.main_question
    mine = [m for m in told.numbers if m.strong and m.question == main]
    mine += [m for m in told.numbers if m.strong and m.question != main and m.studies]
    return [m for m in mine if _shown(m, 0) != _shown(m, -1)][:8]


def _number(told: Difference, m: Moved) -> str:
    title = told.review.question(m.question).title
    measure, _, pair = m.what.partition(" ")
    name = pair.replace(" : ", " vs ")
    if m.path[0] is None:
        return f"{title}: {name} is new, {measure} {_with_interval(m, m.after)}."
    if m.path[-1] is None:
        return f"{title}: {name} is gone (it was {measure} {_with_interval(m, m.before)})."
    return f"{title}: {name} {measure} {_shown(m, 0)} -> {_shown(m, -1)} ({_because(m)})."


def _because(m: Moved) -> str:
    """The kinds of change that moved the printed value, and the studies."""
    moved = {name: x for name, x in m.steps.items() if x}
    told = [_KINDS[name] for name in moved]
    said = "by " + listed(told) if told else "by nothing"
    if len(moved) > 1:
        shown = [_shown(m, at) for at in range(len(m.path))]
        said += ": " + " -> ".join(x for x, before in zip(shown, [None, *shown]) if x != before)
    return said + _studies(m)


def _studies(m: Moved) -> str:
    named = [s for s in m.studies if s.last is not None or s.first is not None]
    if len(named) == 1:
        return f"; {named[0].study} {named[0].how}"
    named.sort(key=lambda s: -abs(s.last or s.first or 0.0))
    if not named:
        return ""
    return "; " + ", ".join(f"{s.study} {s.how} {_change(m, s)}" for s in named[:3])


def _change(m: Moved, s: StudyMove) -> str:
    value = s.last if s.last is not None else s.first
    if value is None:
        return ""
    return f"x{exp(value):.2f}" if m.scale == "log" else f"{value:+.2f}"


def _shown(m: Moved, at: int) -> str:
    value = m.path[at]
    if value is None:
        return "none"
    return number(exp(value) if m.scale == "log" else value)


def _with_interval(m: Moved, values: tuple[float, float, float] | None) -> str:
    if values is None:
        return "none"
    return interval(*(exp(v) if m.scale == "log" else v for v in values))


def _conclusion(c: ConclusionMove) -> str:
    after, m = c.after, c.number
    name, rule = after.conclusion.id, after.conclusion
    values = f"P {_p(m.path[0])} -> {_p(m.path[-1])}, threshold {rule.threshold:.2f}"
    if c.before is not None and c.before.estimate is not None and after.estimate is not None:
        values += f"; {after.shows} {number(c.before.estimate)} -> {number(after.estimate)}"
    moved = [_KINDS[k] for k, x in m.steps.items() if x]
    if len(moved) > 1:
        values += "; " + ", ".join(f"{_KINDS[k]} {x:+.2f}" for k, x in m.steps.items() if x)
    values += _studies(m) if len(m.studies) > 1 else ""
    if after.problem:
        return f"Conclusion {name} is not computed: {after.problem}"
    if c.before is None:
        return f"Conclusion {name} is new and {STATE_WORDS[after.state]} (P {_p(m.path[-1])}): {rule.statement}."
    if c.flipped:
        return (
            f"Conclusion {name} FLIPPED from {STATE_WORDS[c.before.state]} to {STATE_WORDS[after.state]} ({values}): "
            f"{rule.statement}. {rule.matters}".strip()
        )
    near = ", near to a change" if after.near else ""
    return f"Conclusion {name} unchanged, {STATE_WORDS[after.state]}{near} ({values})."


def _p(value: float | None) -> str:
    return "none" if value is None else number(value)


def _matters(told: Difference) -> str:
    if not told.matters:
        near = [c.after.conclusion.id for c in told.conclusions if c.after.near]
        said = "It changes no conclusion, and no verdict on a comparison."
        return said + (f" Near to a change: {listed(near)}." if near else "")
    parts = [f"{x.question}, {x.what.replace(' : ', ' vs ')}: {x.before} before, {x.after} now" for x in told.crossings]
    if told.flips:
        parts.insert(0, f"{count(len(told.flips), 'conclusion')} flipped")
    return f"It matters: {'; '.join(parts)}."


def as_json(told: Difference) -> dict[str, Any]:
    """The difference as plain values; `steps` sum to `change` on the scale named."""
    from enthesis.estimands import plain
    from enthesis.report.conclusions import record

    def moved(m: Moved) -> dict[str, Any]:
        return {
            "question": m.question, "what": m.what, "scale": m.scale, "before": m.path[0], "after": m.path[-1],
            "change": m.whole, "steps": m.steps, "path": list(m.path), "interval_before": m.before,
            "interval_after": m.after,
            "studies": [{"study": s.study, "how": s.how, "first": s.first, "last": s.last} for s in m.studies],
        }  # fmt: skip

    return plain(
        {
            "review": told.review.id, "from": told.old.to_dict(), "to": told.new.to_dict(),
            "summary": paragraph(told), "matters": told.matters, "rows": told.rows, "studies": told.studies,
            "method": list(told.method), "software": told.software, "questions": list(told.questions),
            "numbers": [moved(m) for m in told.numbers],
            "conclusions": [
                {**record(c.after), "flipped": c.flipped, "state_before": c.before.state if c.before else None,
                 "moved": moved(c.number)}
                for c in told.conclusions
            ],
            "crossings": [{"question": x.question, "what": x.what, "before": x.before, "after": x.after}
                          for x in told.crossings],
            "fits": told.fits,
        }
    )  # fmt: skip
