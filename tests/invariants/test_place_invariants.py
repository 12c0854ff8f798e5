"""Properties of the rules of place for any evidence."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import enthesis as en
from enthesis.assess.licence import Licence, LicenceRow
from enthesis.assess.place import Seen, decide
from enthesis.assess.place_settings import Cell, read_settings
from enthesis.evidence import bundled_folder

CELL = Cell(id="c", title="a cell", population="p", line="naive", question="q")
SETTINGS = replace(read_settings(bundled_folder().parent / "place.toml"), cells=(CELL,))
RAISED = [f"{r.id}.{name}" for r in SETTINGS.rules for name in r.numbers if name in ("threshold", "least")]


def fit_of(events):
    rows = [dict(study="1", treatment=t, events=r, n=100) for t, r in (("placebo", 20), ("drug", events))]
    network = en.from_table(rows, measure="OR", reference="placebo", better="higher")
    return en.fit(network, en.Model(heterogeneity=en.Common()), engine="laplace", draws=200)


FITS = [fit_of(events) for events in (10, 22, 30, 36, 45, 70)]


@st.composite
def evidence(draw):
    line = draw(st.sampled_from(["this line", "later line", "no"]))
    row = LicenceRow(region="EU", status="s", date="", restriction="", line=line, by="licensed", fact="f", sources=())
    return Seen(cell=CELL, drug="drug", drug_class="JAKi", reference="placebo", fit=draw(st.sampled_from(FITS)),
                evidence=draw(st.sampled_from(["stratum", "broader"])), question="q", risk=0.2,
                certainty=draw(st.sampled_from(["", "very low", "low", "moderate", "high"])),
                licence=Licence(rows=(row,) * draw(st.integers(0, 1))))  # fmt: skip


def fired(seen, values):
    return {f.rule.id for f in decide((seen,), SETTINGS.with_values(values)).entries[0].fired}


@pytest.mark.parametrize("number", RAISED)
@settings(max_examples=25)
@given(seen=evidence(), low=st.floats(0, 1), high=st.floats(0, 1))
def test_raising_a_threshold_never_adds_a_fired_rule(number, seen, low, high):
    low, high = sorted((low, high))
    scale = 4.0 if number.endswith("least") else 1.0
    assert fired(seen, {number: scale * high}) <= fired(seen, {number: scale * low})


@given(seen=evidence(), near=st.floats(0, 1))
def test_a_rule_is_fired_or_nearly_fired_and_not_both(seen, near):
    entry = decide((seen,), SETTINGS.with_values({"near": near})).entries[0]
    assert not {f.rule.id for f in entry.fired} & {f.rule.id for f in entry.nearly}


@given(seen=evidence())
def test_the_first_fired_rule_with_a_place_decides(seen):
    entry = decide((seen,), SETTINGS).entries[0]
    with_place = [f.rule for f in entry.fired if f.rule.place]
    assert entry.by == (with_place[0] if with_place else None)


@given(st.lists(evidence(), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_a_drug_has_its_place_whoever_stands_beside_it(all_seen, random):
    named = tuple(replace(s, drug="drug") for s in all_seen)
    alone = sorted(decide((s,), SETTINGS).entries[0].place.id for s in named)
    order = list(named)
    random.shuffle(order)
    assert sorted(e.place.id for e in decide(tuple(order), SETTINGS).entries) == alone
