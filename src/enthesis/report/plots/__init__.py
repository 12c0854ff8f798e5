"""Plots: a table in, an Altair chart out. They fit nothing, and each has a text alternative made from the same table.

Every module has `chart(table, **options)` and `alt_text(table, **options)`.
"""

from __future__ import annotations

from types import ModuleType

from enthesis.report.plots import absolute, flow, forest, league, network_graph, rankogram

#: every plot by name
PLOTS: dict[str, ModuleType] = {
    "absolute": absolute,
    "flow": flow,
    "forest": forest,
    "league": league,
    "network_graph": network_graph,
    "rankogram": rankogram,
}
