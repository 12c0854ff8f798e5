"""Risk of bias due to missing evidence, by the logic of ROB-MEN: first each comparison, then each network estimate.

Comparisons (the pairwise table): studies that compared the two but did not report the outcome (within studies), and
unpublished studies (across studies: Egger's test from ten studies on, below that conditions that hold for the whole
review). Where bias is suspected, it favours one of the two treatments.

Network estimates (the ROB-MEN table): how much of the estimate comes from comparisons in which bias is suspected, in
favour of which side; whether small-study effects show in a network meta-regression on the standard error; and, for
estimates without direct evidence, what is suspected of the comparison itself. (Chiocchia V et al., BMC Med 2021;19:304,
table 5 for the last step; Chiocchia V et al., BMC Med Res Methodol 2023;23:313.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enthesis.assess.concerns import LEVELS, Concern, percent
from enthesis.assess.small_study import FEW, AsymmetryTest, asymmetry_test, network_egger
from enthesis.errors import EnthesisError
from enthesis.inference.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

    from enthesis.network.network import Network

Pair = tuple[str, str]
#: share of an estimate, as a fraction, from which suspected bias is substantial (Chiocchia 2021: 15 percentage points)
SUBSTANTIAL = 0.15
#: Egger's test of a comparison, and the slope of the network, below which small studies are said to differ
P_COMPARISON, P_NETWORK = 0.05, 0.10


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What is known of the whole review about unpublished studies.

    Parameters
    ----------
    suggest_bias, suggest_none : tuple of str
        Conditions that hold, in words: unpublished studies were not searched; trials in the field are registered. More
        of the first than of the second raise a suspicion where Egger's test has too few studies.
    missing_share : float
        Studies of a comparison that did not report the outcome, as a share of all its studies, above which selective
        reporting is suspected.
    """

    suggest_bias: tuple[str, ...] = ()
    suggest_none: tuple[str, ...] = ()
    missing_share: float = 0.0

    @property
    def suspected(self) -> bool:
        """Whether the conditions raise a suspicion."""
        return len(self.suggest_bias) > len(self.suggest_none)


@dataclass(frozen=True, kw_only=True)
class PairwiseBias:
    """A line of the pairwise table.

    Parameters
    ----------
    treatment, comparator : str
    observed : bool
        Whether studies report the outcome for it.
    n_studies, n_missing : int
        Studies that report the outcome, and studies that compared the two and do not.
    favours : str
        The treatment that missing evidence is suspected to favour; empty when nothing is suspected.
    within, across : str
        Reasons, in words.
    """

    treatment: str
    comparator: str
    observed: bool
    n_studies: int
    n_missing: int
    favours: str
    within: str
    across: str


def pairwise_table(
    network: Network,
    pairs: Sequence[Pair],
    better: Mapping[Pair, str],
    *,
    missing: Mapping[Pair, int] | None = None,
    conditions: Conditions = Conditions(),
) -> dict[Pair, PairwiseBias]:
    """What is suspected of each comparison.

    Parameters
    ----------
    network : Network
    pairs : sequence of (treatment, comparator)
    better : dict
        By pair, the treatment that unreported results would make look better: the one the estimate favours, and never
        the reference.
    missing : dict, optional
        By pair, how many studies compared the two without a result on this outcome.
    conditions : Conditions

    Returns
    -------
    dict of (treatment, comparator) to PairwiseBias
    """
    from enthesis.network.geometry import edges

    table = edges(network)
    counts: dict[frozenset[str], int] = {}
    for a, b, n in zip(table["treatment"], table["comparator"], table["n_studies"], strict=True):
        counts[frozenset((a, b))] = int(n)
    found = {}
    for pair in pairs:
        n, lost = counts.get(frozenset(pair), 0), (missing or {}).get(pair, 0)
        share = lost / (n + lost) if n + lost else 0.0
        selective = share > conditions.missing_share and lost > 0
        within = (
            f"{lost} of {n + lost} studies of this comparison give no result for the outcome ({percent(share)})"
            if lost else "no study of this comparison is known to lack the outcome"
        )  # fmt: skip
        small, across = _across(network, pair, n, conditions)
        found[pair] = PairwiseBias(
            treatment=pair[0], comparator=pair[1], observed=n > 0, n_studies=n, n_missing=lost, within=within,
            across=across, favours=better[pair] if selective or small else "",
        )  # fmt: skip
    return found


def _across(network: Network, pair: Pair, n: int, conditions: Conditions) -> tuple[bool, str]:
    if n >= FEW:
        try:
            test = asymmetry_test(network, "egger", treatment=pair[0], comparator=pair[1])
            return test.p < P_COMPARISON, f"Egger's test over {n} studies: p = {test.p:.2g}"
        except EnthesisError:
            pass
    bias, none = "; ".join(conditions.suggest_bias), "; ".join(conditions.suggest_none)
    if bias:
        return conditions.suspected, f"{bias}; but {none}" if none else bias
    return conditions.suspected, "nothing suggests unpublished studies" + (f": {none}" if none else "")


@dataclass(frozen=True, kw_only=True)
class SmallStudies:
    """What network meta-regression on the standard error says; `effects` are those of studies without error."""

    test: AsymmetryTest | None
    effects: Mapping[str, float]
    reference: str
    reason: str

    def estimate(self, pair: Pair) -> float:
        """The effect of a pair in studies without error, model's scale."""
        return self.effects.get(pair[0], 0.0) - self.effects.get(pair[1], 0.0)


def small_studies(fit: Fit) -> SmallStudies:
    """The network's small-study effects; without them when the data leave nothing to estimate a slope from."""
    reference = fit.network.reference
    try:
        test, effects = network_egger(fit)
    except EnthesisError:
        return SmallStudies(test=None, effects={}, reference=reference,
                            reason="small-study effects cannot be tested in this network")  # fmt: skip
    by_name = dict(zip(effects["treatment"], effects["estimate"].astype(float), strict=True))
    few = f", {test.n_studies} studies, too few for power" if test.n_studies < FEW else f", {test.n_studies} studies"
    reason = f"network regression on the standard error: p = {test.p:.2g}{few}"
    return SmallStudies(test=test, effects=by_name, reference=reference, reason=reason)


def reporting_bias(
    pair: Pair,
    interval: tuple[float, float, float],
    shares: Mapping[Pair, float],
    table: Mapping[Pair, PairwiseBias],
    small: SmallStudies,
    sign: float = 1.0,
) -> Concern:
    """The risk of bias due to missing evidence in one network estimate.

    Parameters
    ----------
    pair : (treatment, comparator)
    interval : (estimate, lower, upper)
        Of the network, model's scale.
    shares : dict of (treatment, comparator) to float
        What each observed comparison contributes to the estimate.
    table : dict
        The pairwise table.
    small : SmallStudies
        Small-study effects show in this estimate when the slope's p-value is below 0.10 and the effect of studies
        without error lies outside the interval.
    sign : float
        1 when a higher effect is better for the patient, else -1.

    Returns
    -------
    Concern
    """
    # suspicion is followed to the side of the pair that it helps: of a : b, whatever favours a treatment against the
    # others of its comparison favours that side when the comparison has the side in it; others help neither
    side = {name: 0.0 for name in pair}
    suspected = 0.0
    for other, share in shares.items():
        line = table.get(other)
        if line is None or not line.favours:
            continue
        suspected += share
        loser = other[0] if line.favours == other[1] else other[1]
        if line.favours in side:
            side[line.favours] += share
        elif loser in side:
            side[pair[0] if loser == pair[1] else pair[1]] += share
    first, second = side[pair[0]], side[pair[1]]
    favoured = pair[0] if first >= second else pair[1]
    if abs(first - second) >= SUBSTANTIAL:
        contribution = (
            f"{percent(max(first, second))} of the estimate comes from comparisons suspected to favour {favoured}"
        )
    elif max(first, second, suspected) >= SUBSTANTIAL:
        contribution = f"{percent(suspected)} of the estimate comes from comparisons under suspicion, in balance"
    else:
        contribution = "no substantial part of the estimate comes from comparisons under suspicion"
    one_sided = abs(first - second) >= SUBSTANTIAL
    estimate, lower, upper = interval
    unbiased = small.estimate(pair)
    shows = small.test is not None and small.test.p < P_NETWORK and not lower <= unbiased <= upper
    helped = pair[0] if sign * (estimate - unbiased) > 0 else pair[1]
    own = table[pair]
    unseen = "" if own.observed else own.favours
    if (one_sided and shows and helped == favoured) or (one_sided and unseen and unseen == favoured):
        level = LEVELS[2]
    elif one_sided or shows or unseen:
        level = LEVELS[1]
    else:
        level = LEVELS[0]
    told = [contribution, small.reason]
    if shows:
        told[1] += f"; without it the effect would lie outside the interval, less in favour of {helped}"
    if own.observed:
        told.append(f"{own.within}; {own.across}")
    else:
        told.append(f"no study compares the two ({own.across})" + (f": suspected to favour {unseen}" if unseen else ""))
    reason = ". ".join(text[0].upper() + text[1:] for text in told) + "."
    inputs = {"favours": [round(first, 4), round(second, 4)], "suspected": round(suspected, 4), "small": shows,
              "unseen": unseen}  # fmt: skip
    return Concern(domain="reporting bias", level=level, reason=reason, inputs=inputs)


def robmen_table(table: Mapping[Pair, PairwiseBias]) -> pd.DataFrame:
    """The pairwise table as a frame: the fields of `PairwiseBias`, one row per comparison."""
    from dataclasses import asdict

    import pandas as pd

    return pd.DataFrame([asdict(line) for line in table.values()])
