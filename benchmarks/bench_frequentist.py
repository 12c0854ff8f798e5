"""The frequentist core: node-splits, contributions and leave-one-out of a published network, and fits of large ones.

`frequentist.py` beside this file has the full table, with peak memory and the times of netmeta.
"""

from __future__ import annotations

from functools import cache

from frequentist import published, simulated
from run import Case

import enthesis as en
from enthesis.assess.consistency import decomposition
from enthesis.assess.contribution import contributions
from enthesis.assess.leave_out import leave_one_study_out
from enthesis.assess.node_splitting import node_splits


@cache
def network(name):
    if "/" not in name:
        table, arguments = published(name)
        return en.from_table(table, **arguments)
    treatments, studies = (int(x.replace(",", "")) for x in name.split("/"))
    return en.from_table(simulated(treatments, studies), measure="MD", reference="T0000")


@cache
def fitted(name):
    return en.fit(network(name), engine="gls", tau="DL")


def cases():
    linde = "Linde 2016"
    yield Case("fit by REML, 93 studies, 22 treatments", lambda: en.fit(network(linde), engine="gls"))
    yield Case("all node-splits", lambda: node_splits(fitted(linde)))
    yield Case("all node-splits with their own tau (SIDDE, DL)", lambda: node_splits(fitted(linde), "SIDDE"), repeat=1)
    yield Case("decomposition of Q", lambda: decomposition(fitted(linde)))
    yield Case("contributions by shortest path", lambda: contributions(fitted(linde)))
    yield Case("contributions by random walk", lambda: contributions(fitted(linde), "random walk"))
    yield Case("leave one study out", lambda: leave_one_study_out(fitted(linde)), repeat=1)
    for size in ("100/1,000", "300/5,000", "1,000/100,000"):
        yield Case(
            f"fit by REML, treatments/studies {size}",
            lambda size=size: en.fit(network(size), engine="gls"),
            repeat=1,
            budget=60.0,
        )
