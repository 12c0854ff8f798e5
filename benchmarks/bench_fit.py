"""A first answer from a user's table: against reading the table."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from run import Case

import enthesis as en

SMOKING = Path(__file__).parents[1] / "docs" / "tutorials" / "smoking.csv"


def cases():
    network = en.from_table(SMOKING, measure="OR", reference="no_contact")
    fitted = en.fit(network)
    yield Case("from_table, 24 studies", partial(en.from_table, SMOKING, measure="OR", reference="no_contact"))
    yield Case("fit by gls", lambda: en.fit(network.replace(), engine="gls"))
    yield Case("fit by laplace", lambda: en.fit(network.replace()))
    yield Case("fit_json", lambda: en.fit_json(fitted))
