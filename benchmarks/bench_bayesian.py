"""The Bayesian core against a gls fit of the same 24 studies: posterior, node-splits, leave-one-out, large networks.

`bayesian.py` beside this file has the full table, with the times of multinma and gemtc.
"""

from __future__ import annotations

from bayesian import DRAWS, fitted, network, posterior
from run import Case

import enthesis as en
from enthesis.assess.leave_out import leave_one_study_out
from enthesis.assess.node_split_table import node_split_table


def cases():
    yield Case("gls fit, 24 studies", lambda: en.fit(network("smoking").replace(), engine="gls"))
    yield Case("posterior with ranks, 24 studies", lambda: posterior("smoking"), budget=1.0)
    yield Case("all node-splits, 24 studies", lambda: node_split_table(network("smoking"), draws=DRAWS), repeat=1)
    yield Case("posterior with ranks, 50 studies", lambda: posterior("50 studies"), budget=2.0)
    yield Case("leave-one-out, 50 studies", lambda: leave_one_study_out(fitted("50 studies")), repeat=3, budget=3.0)
    yield Case("posterior, 1,000 studies of counts", lambda: posterior("100/1,000 counts", pairs=False), repeat=1)
