"""Plots: a table in, an Altair chart out. They fit nothing, and each has a text alternative made from the same table.

Every module has `chart(table, **options)` and `alt_text(table, **options)`.
"""

from __future__ import annotations

from types import ModuleType

from enthesis.report.plots import (
    absolute,
    baujat,
    bias_summary,
    borrowed_own,
    borrowing_weight,
    contour_funnel,
    contribution,
    cumulative,
    dev_dev,
    flow,
    forecast,
    forest,
    funnel,
    hasse,
    icon_array,
    influence,
    invariant_intervals,
    league,
    leave_one_out,
    leverage,
    litmus,
    net_heat,
    network_graph,
    node_split,
    prior_posterior,
    rankogram,
    rates,
    shrinkage,
    specification_curve,
    time_machine,
    traffic_light,
    value_map,
)

#: every plot by name
PLOTS: dict[str, ModuleType] = {
    "absolute": absolute,
    "baujat": baujat,
    "bias_summary": bias_summary,
    "borrowed_own": borrowed_own,
    "borrowing_weight": borrowing_weight,
    "contour_funnel": contour_funnel,
    "contribution": contribution,
    "cumulative": cumulative,
    "dev_dev": dev_dev,
    "flow": flow,
    "forecast": forecast,
    "forest": forest,
    "funnel": funnel,
    "hasse": hasse,
    "icon_array": icon_array,
    "influence": influence,
    "invariant_intervals": invariant_intervals,
    "league": league,
    "leave_one_out": leave_one_out,
    "leverage": leverage,
    "litmus": litmus,
    "net_heat": net_heat,
    "network_graph": network_graph,
    "node_split": node_split,
    "prior_posterior": prior_posterior,
    "rankogram": rankogram,
    "rates": rates,
    "shrinkage": shrinkage,
    "specification_curve": specification_curve,
    "time_machine": time_machine,
    "traffic_light": traffic_light,
    "value_map": value_map,
}
