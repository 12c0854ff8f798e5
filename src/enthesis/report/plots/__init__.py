"""Plots: a table in, an Altair chart out. They fit nothing, and each has a text alternative made from the same table.

Every module has `chart(table, **options)` and `alt_text(table, **options)`.
"""

from __future__ import annotations

from types import ModuleType

from enthesis.report.plots import (
    absolute,
    baujat,
    contour_funnel,
    contribution,
    cumulative,
    flow,
    forest,
    funnel,
    hasse,
    influence,
    league,
    leave_one_out,
    litmus,
    net_heat,
    network_graph,
    node_split,
    rankogram,
    specification_curve,
)

#: every plot by name
PLOTS: dict[str, ModuleType] = {
    "absolute": absolute,
    "baujat": baujat,
    "contour_funnel": contour_funnel,
    "contribution": contribution,
    "cumulative": cumulative,
    "flow": flow,
    "forest": forest,
    "funnel": funnel,
    "hasse": hasse,
    "influence": influence,
    "league": league,
    "leave_one_out": leave_one_out,
    "litmus": litmus,
    "net_heat": net_heat,
    "network_graph": network_graph,
    "node_split": node_split,
    "rankogram": rankogram,
    "specification_curve": specification_curve,
}
