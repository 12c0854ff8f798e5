"""Properties of thresholds that hold for any effects and any influence."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from enthesis.assess.decision import Best, NearBest, Rank, Superior, Top
from enthesis.assess.threshold import threshold

NUMBERS = st.floats(-3, 3).map(lambda x: round(x, 3))
TREATMENTS = st.integers(2, 7)
RULES = st.sampled_from(
    [Best(), Best(margin=0.3), Rank(rank=1), Rank(rank=2), Top(k=2), Superior(margin=0.2), NearBest(margin=0.4)]
)


@st.composite
def lines(draw):
    """Effects without ties, and what a change does to them."""
    size = draw(TREATMENTS)
    effects = draw(st.lists(NUMBERS, min_size=size, max_size=size, unique=True))
    influence = draw(st.lists(NUMBERS, min_size=size, max_size=size))
    return np.array(effects), np.array(influence)


@given(lines(), st.floats(0, 1), st.floats(0, 1))
def test_a_wider_margin_gives_a_wider_invariant_interval(line, first, second):
    effects, influence = line
    narrow = threshold(effects, influence, Best(margin=min(first, second)))
    wide = threshold(effects, influence, Best(margin=max(first, second)))
    assert wide.high >= narrow.high - 1e-9
    assert wide.low <= narrow.low + 1e-9


@given(lines(), RULES)
def test_the_decision_is_the_same_everywhere_inside(line, rule):
    effects, influence = line
    found = threshold(effects, influence, rule)
    low, high = max(found.low, -1e3), min(found.high, 1e3)
    inside = np.linspace(low, high, 41)[1:-1]
    chosen = rule.chosen(effects + inside[:, None] * influence, effects)
    base = rule.chosen(effects[None, :], effects)
    near = np.minimum(inside - low, high - inside) > 1e-6 * (1 + high - low)
    assert (chosen[near] == base).all()


@given(lines(), RULES)
def test_the_decision_is_another_just_outside(line, rule):
    effects, influence = line
    found = threshold(effects, influence, rule)
    base = rule.chosen(effects[None, :], effects)[0]
    if np.isfinite(found.high) and found.high < 1e3:
        beyond = rule.chosen((effects + found.high * (1 + 1e-9) * influence + 1e-9 * influence)[None, :], effects)[0]
        named = np.zeros(len(effects), dtype=bool)
        named[list(found.above)] = True
        assert (named != base).any() or (beyond != base).any()


@given(lines(), RULES, st.randoms(use_true_random=False))
def test_relabelling_changes_nothing(line, rule, random):
    effects, influence = line
    order = list(range(len(effects)))
    random.shuffle(order)
    moved = order.index(0)
    again = Superior(comparator=moved, margin=rule.margin) if isinstance(rule, Superior) else rule
    one, two = threshold(effects, influence, rule), threshold(effects[order], influence[order], again)
    assert np.isclose(one.low, two.low) or one.low == two.low
    assert np.isclose(one.high, two.high) or one.high == two.high


@given(lines(), RULES, st.floats(0.1, 10))
def test_twice_the_influence_halves_the_thresholds(line, rule, factor):
    effects, influence = line
    one, scaled = threshold(effects, influence, rule), threshold(effects, factor * influence, rule)
    assert np.isclose(one.high, factor * scaled.high) or one.high == scaled.high
