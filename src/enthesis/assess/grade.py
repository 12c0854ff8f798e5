"""From concerns to GRADE's certainty, and from certainties to groups of treatments.

A rating starts high for randomised studies and goes down one level for some concerns and two for major concerns in each
domain, to very low at the least. Two domains are counted once where they speak of the same thing: indirectness and
incoherence, because incoherence is how intransitivity shows (Nikolakopoulou A et al., PLoS Med 2020;17:e1003082:
related domains should not be rated down for twice). Imprecision and heterogeneity both count: CINeMA's rules make them
add up to what the prediction interval crosses, so that no fact counts twice.

The minimally contextualised framework sorts treatments by what was shown against the reference and against one another,
and by certainty (Brignardello-Petersen R et al., BMJ 2020;371:m3900).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from enthesis.assess.concerns import Concern

if TYPE_CHECKING:
    import pandas as pd

Certainty = Literal["high", "moderate", "low", "very low"]
CERTAINTIES: tuple[Certainty, ...] = ("high", "moderate", "low", "very low")
#: domains of which only the larger step counts
TOGETHER: tuple[tuple[str, ...], ...] = (("indirectness", "incoherence"),)


def overall(
    concerns: Sequence[Concern],
    *,
    start: Certainty = "high",
    why: str = "randomised studies",
    together: tuple[tuple[str, ...], ...] = TOGETHER,
) -> tuple[Certainty, str]:
    """The certainty of an estimate from its concerns.

    Parameters
    ----------
    concerns : sequence of Concern
        One per domain.
    start : {"high", "moderate", "low", "very low"}
    why : str
        What the start rests on.
    together : tuple of tuple of str
        Groups of domains that are counted once.

    Returns
    -------
    (level, reason)

    Examples
    --------
    >>> made = [Concern(domain=d, level=f"{l} concerns", reason="") for d, l in
    ...         (("imprecision", "some"), ("indirectness", "some"), ("incoherence", "major"))]
    >>> level, reason = overall(made)
    >>> level, reason[34:]
    ('very low', 'down 1 for imprecision, 2 for indirectness and incoherence together.')
    """
    steps = {c.domain: c.steps for c in concerns}
    parts: list[tuple[int, str]] = []
    done: set[str] = set()
    for domain in steps:
        if domain in done:
            continue
        group = next((g for g in together if domain in g), (domain,))
        members = [d for d in group if steps.get(d, 0)]
        done |= set(group)
        if members:
            said = " and ".join(members) + (" together" if len(members) > 1 else "")
            parts.append((max(steps[d] for d in members), said))
    total = sum(n for n, _ in parts)
    level = CERTAINTIES[min(CERTAINTIES.index(start) + total, 3)]
    told = f"Starts {start} ({why}); "
    told += "down " + ", ".join(f"{n} for {said}" for n, said in parts) if parts else "no reason to rate down"
    return level, told + "."


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where the minimally contextualised framework puts a treatment.

    Parameters
    ----------
    treatment : str
    category : int
        -1 worse than the reference, 0 not convincingly different from it, 1 better than it, 2 better also than one of
        those, and so on.
    group : str
        The category in words.
    certain : bool
        High or moderate certainty against the reference; the framework shows these apart from low and very low.
    certainty : str
    """

    treatment: str
    category: int
    group: str
    certain: bool
    certainty: str


def minimally_contextualised(
    treatments: Sequence[str],
    reference: str,
    better: Callable[[str, str], bool],
    certainty: Mapping[str, Certainty],
) -> tuple[Placement, ...]:
    """Sort treatments into categories, best first.

    Parameters
    ----------
    treatments : sequence of str
    reference : str
    better : callable
        (a, b) → whether a is convincingly better than b: the interval excludes no difference.
    certainty : dict of str to level
        Of each treatment against the reference.

    Returns
    -------
    tuple of Placement

    Examples
    --------
    >>> beats = {("B", "P"), ("C", "P"), ("C", "B")}
    >>> [(p.treatment, p.category, p.group) for p in
    ...  minimally_contextualised("PABC", "P", lambda a, b: (a, b) in beats, dict.fromkeys("ABC", "high"))]
    [('C', 2, 'among the best'), ('B', 1, 'better than P, inferior to another'), ('A', 0, 'not shown to differ from P')]
    """
    others = [t for t in treatments if t != reference]
    category = {t: 1 if better(t, reference) else -1 if better(reference, t) else 0 for t in others}
    level = 1
    while True:
        at = [t for t in others if category[t] == level]
        raised = [t for t in at if any(better(t, other) for other in at if other != t)]
        if not raised or len(raised) == len(at):
            break
        for t in raised:
            category[t] = level + 1
        level += 1
    top = max(category.values(), default=0)
    made = []
    for t in sorted(others, key=lambda t: (-category[t], others.index(t))):
        c = category[t]
        if c == -1:
            group = f"worse than {reference}"
        elif c == 0:
            group = f"not shown to differ from {reference}"
        elif c == top:
            group = "among the best" if top > 1 else f"better than {reference}"
        else:
            group = f"better than {reference}, inferior to another"
        made.append(
            Placement(treatment=t, category=c, group=group, certainty=certainty[t],
                      certain=certainty[t] in ("high", "moderate"))
        )  # fmt: skip
    return tuple(made)


def placements_table(placements: Sequence[Placement]) -> pd.DataFrame:
    """Placements as a frame: treatment, category, group, certain, certainty."""
    from dataclasses import asdict

    import pandas as pd

    return pd.DataFrame([asdict(p) for p in placements])
