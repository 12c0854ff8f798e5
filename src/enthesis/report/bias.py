"""Tables of risk of bias for its figures: traffic lights, and shares by domain weighted by contribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from enthesis.assess.bias import OVERALL, Judged, tool
from enthesis.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


def _of_one_tool(found: Sequence[Judged]):
    if not found:
        raise UsageError("there are no judgements of risk of bias to draw: import some (enthesis rob import).")
    names = {j.tool for j in found}
    if len(names) > 1:
        raise UsageError(f"the judgements are of several tools ({', '.join(sorted(names))}): draw one at a time.")
    return tool(names.pop())


def lights(found: Sequence[Judged], weights: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Judgements as the table of the plot `traffic_light`.

    Parameters
    ----------
    found : sequence of Judged
        Of one tool.
    weights : dict of str to float, optional
        Fractions by study, such as contributions to an estimate; studies without one have 0.

    Returns
    -------
    pandas.DataFrame
        study, domain, judgement, level, and weight where weights are given.
    """
    import pandas as pd

    its = _of_one_tool(found)
    rows = []
    for j in sorted(found, key=lambda j: -(weights or {}).get(j.study, 0.0)):
        for name, id in [*((d.id, d.id) for d in its.domains), ("Overall", OVERALL)]:
            level = its.level(j.overall if id == OVERALL else j.domains.get(id, "no-information"))
            row = {"study": j.study, "domain": name, "judgement": level.name, "level": level.weight}
            rows.append(row | ({"weight": weights.get(j.study, 0.0)} if weights is not None else {}))
    return pd.DataFrame(rows)


def shares(found: Sequence[Judged], weights: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Judgements as the table of the plot `bias_summary`: by domain, the share of each judgement.

    Parameters
    ----------
    found : sequence of Judged
        Of one tool.
    weights : dict of str to float, optional
        By study; default the same for all. Scaled to sum to 1.

    Returns
    -------
    pandas.DataFrame
        domain, judgement, level, share.
    """
    import pandas as pd

    its = _of_one_tool(found)
    own = {j.study: (weights or {}).get(j.study, 0.0) if weights is not None else 1.0 for j in found}
    total = sum(own.values())
    if total <= 0:
        raise UsageError("none of the studies with a judgement contributes: nothing can be weighed.")
    rows = []
    for name, id in [*((d.name[0].upper() + d.name[1:], d.id) for d in its.domains), ("Overall", OVERALL)]:
        by_level: dict[str, float] = {}
        for j in found:
            level = its.level(j.overall if id == OVERALL else j.domains.get(id, "no-information"))
            by_level[level.id] = by_level.get(level.id, 0.0) + own[j.study] / total
        rows += [{"domain": name, "judgement": level.name, "level": level.weight, "share": by_level[level.id]}
                 for level in its.levels if level.id in by_level]  # fmt: skip
    return pd.DataFrame(rows)
