"""Consistency: whether direct and indirect evidence are believed to agree, as values.

- `Consistent`: d[a,c] = d[a,b] + d[b,c] everywhere.
- `NodeSplit(treatment, comparator)`: studies that hold both treatments inform a separate *direct* effect of that
  comparison; everything else gives the indirect one (Dias S et al., Stat Med 2010;29:932; van Valkenhoef G et al., Res
  Synth Methods 2016;7:80). In a multi-arm study only the split contrast is separate.
- `UnrelatedMeanEffects`: one effect for each comparison of a study's arm with its first arm, no relation between
  them (NICE DSU TSD 4).
- `DesignByTreatment`: design-specific deviations, exchangeable with standard deviation `inconsistency_sd` (Jackson D
  et al., Stat Med 2014;33:3639; Higgins JPT et al., Res Synth Methods 2012;3:98).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from enthesis.models.priors import HalfNormal, Normal, Prior


@dataclass(frozen=True)
class Consistent:
    """Direct and indirect evidence agree."""


@dataclass(frozen=True, kw_only=True)
class NodeSplit:
    """Direct evidence on one comparison apart from all other evidence.

    Parameters
    ----------
    treatment, comparator : str
    prior : Normal
        Of the direct effect.

    Examples
    --------
    >>> NodeSplit(treatment="B", comparator="A").treatment
    'B'
    """

    treatment: str
    comparator: str
    prior: Normal = field(default=Normal(0, 100))


@dataclass(frozen=True, kw_only=True)
class UnrelatedMeanEffects:
    """One unrelated effect per observed comparison.

    Parameters
    ----------
    prior : Normal

    Examples
    --------
    >>> UnrelatedMeanEffects().prior
    Normal(mean=0, sd=100)
    """

    prior: Normal = field(default=Normal(0, 100))


@dataclass(frozen=True, kw_only=True)
class DesignByTreatment:
    """Design-specific deviations from consistency, exchangeable around zero.

    Parameters
    ----------
    sd : Prior
        Prior of their standard deviation, `inconsistency_sd`.

    Examples
    --------
    >>> str(DesignByTreatment().sd)
    'half-normal(1)'
    """

    sd: Prior = field(default=HalfNormal(1.0))


Consistency = Consistent | NodeSplit | UnrelatedMeanEffects | DesignByTreatment
