"""Screening with a model: which records to read first, how much reading that saves, and whether one may stop.

Records are ranked by a logistic regression on the words (TF-IDF of one and two words) of those that were included and
excluded. The recall-versus-effort curve holds decisions back: in each of several repetitions every decided record is
ranked by a model that did not see it. Work saved over sampling at 95 % recall is (records not read) / N − 0.05 at the
smallest share of reading that finds 95 % of the included ones (Cohen et al., J Am Med Inform Assoc 2006;13:206).

A ranking gives no guarantee about the records that nobody has read. The only statement made here about them comes from
a random sample of them: the hypergeometric bound behind the stopping rule of Callaghan and Müller-Hansen (Syst Rev
2020;9:273).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from enthesis.errors import UsageError

#: fewer included records than this, and 95 % recall cannot be told from 100 %
FEW = 20
FOLDS, REPETITIONS, BOOTSTRAPS = 5, 5, 400
RECALL = 0.95
#: records that a random sample needs to say with 95 % confidence that at most one in a hundred is relevant
SAMPLE = 298
_SHARES = np.linspace(0, 1, 101)


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Records in the order in which to read them.

    Parameters
    ----------
    order : tuple of (str, float)
        record_id and score, the score between 0 and 1 and comparable within this ranking only; NaN when unranked.
    trained_on : (int, int)
        Included and excluded records that the model saw; (0, 0) when there were too few.
    told : str
        How the order came about, in a sentence.
    """

    order: tuple[tuple[str, float], ...]
    trained_on: tuple[int, int]
    told: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How much reading finds how much, on decisions that the model did not see.

    Parameters
    ----------
    included, excluded : int
    effort : array (101,)
        Share of the records read, 0 to 1.
    recall, lower, upper : array (101,)
        Share of the included records found: mean over repetitions, 95 % bootstrap interval over records.
    wss95, wss95_lower, wss95_upper : float
        Work saved over sampling at 95 % recall; negative when reading by rank saves nothing.
    effort95, effort95_lower, effort95_upper : float
        Share to read for 95 % recall.
    told : tuple of str
        What these numbers do not say.
    """

    included: int
    excluded: int
    effort: np.ndarray
    recall: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    wss95: float
    wss95_lower: float
    wss95_upper: float
    effort95: float
    effort95_lower: float
    effort95_upper: float
    told: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """What can be said about the records that nobody has read.

    Parameters
    ----------
    unread : int
    found : int
        Included so far.
    sample, sample_included : int
        Records of the random sample, and how many of them were included.
    missed_upper : int or None
        At most so many relevant records are unread, with 95 % confidence; None without a random sample.
    recall_lower : float or None
        At least this share of all relevant records was found, with 95 % confidence.
    told : str
    """

    unread: int
    found: int
    sample: int
    sample_included: int
    missed_upper: int | None
    recall_lower: float | None
    told: str


def words_of(cells: Mapping[str, str]) -> str:
    """The text of a record that the model reads: its title twice, its abstract, its keywords."""
    title = cells.get("title", "")
    return " ".join((title, title, cells.get("abstract", ""), cells.get("keywords", ""))).strip()


def rank(waiting: Mapping[str, str], labels: Mapping[str, bool], texts: Mapping[str, str]) -> Ranked:
    """Order records by how much they look like the included ones.

    Parameters
    ----------
    waiting : mapping of record_id to text
    labels : mapping of record_id to bool
        Decided records: True for included.
    texts : mapping of record_id to text
        Of the decided records.

    Returns
    -------
    Ranked

    Examples
    --------
    >>> texts = {"a": "jak inhibitor trial spondylitis", "b": "knee surgery outcomes"}
    >>> found = rank({"c": "knee surgery", "d": "a jak inhibitor in spondylitis"}, {"a": True, "b": False}, texts)
    >>> [id for id, score in found.order]
    ['d', 'c']
    """
    yes, no = sum(labels.values()), sum(not v for v in labels.values())
    if not waiting:
        return Ranked(order=(), trained_on=(yes, no), told="Nothing waits for a decision.")
    if not yes or not no:
        return Ranked(
            order=tuple((id, math.nan) for id in waiting), trained_on=(0, 0),
            told="Not ranked: a model needs at least one included and one excluded record. Order of import.",
        )  # fmt: skip
    known = sorted(labels)
    matrix = _word_matrix([texts[id] for id in known] + list(waiting.values()))
    at = np.arange(len(known) + len(waiting))
    scores = _scores(matrix, at[: len(known)], np.array([labels[id] for id in known]), at[len(known) :])
    order = sorted(zip(waiting, scores), key=lambda item: -item[1])
    return Ranked(
        order=tuple((id, float(score)) for id, score in order), trained_on=(yes, no),
        told=f"Ranked by the words of {yes} included and {no} excluded records. A low rank is no decision.",
    )  # fmt: skip


def _word_matrix(texts: Sequence[str]) -> Any:
    """TF-IDF of one and two words; None when no text has a word. It sees no label, so it may see every text."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, max_features=50_000, token_pattern=r"(?u)\b\w[\w-]+\b", stop_words=None
    )
    try:
        return words.fit_transform(texts)
    except ValueError:
        return None


def _scores(matrix: Any, train: np.ndarray, labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How likely each of the other rows is included, by a model of the rows to learn from."""
    from sklearn.linear_model import LogisticRegression

    if matrix is None:
        return np.full(len(others), 0.5)
    model = LogisticRegression(C=10.0, class_weight="balanced", solver="liblinear", random_state=0)
    model.fit(matrix[train], labels)
    return model.predict_proba(matrix[others])[:, 1]


def curve(labels: Mapping[str, bool], texts: Mapping[str, str], *, seed: int = 0) -> Curve:
    """The recall-versus-effort curve on held-back decisions.

    Parameters
    ----------
    labels : mapping of record_id to bool
        True for included.
    texts : mapping of record_id to text
    seed : int

    Returns
    -------
    Curve

    Raises
    ------
    UsageError
        With fewer than 2 included or 2 excluded records: nothing can be held back.
    """
    ids = sorted(labels)
    y = np.array([labels[id] for id in ids])
    if y.sum() < 2 or (~y).sum() < 2:
        raise UsageError(
            f"{int(y.sum())} included and {int((~y).sum())} excluded records: a curve needs at least 2 of each, to "
            "hold some back. Decide on more records."
        )
    matrix = _word_matrix([texts[id] for id in ids])
    rng = np.random.default_rng(seed)
    ranks = np.stack([_held_back(matrix, y, rng) for _ in range(REPETITIONS)])
    recall = np.mean([_recall(r[y]) for r in ranks], axis=0)
    boots = np.empty((BOOTSTRAPS, 1 + len(_SHARES)))
    yes, no = np.flatnonzero(y), np.flatnonzero(~y)
    for b in range(BOOTSTRAPS):
        mine = ranks[rng.integers(REPETITIONS)]
        drawn = np.concatenate([rng.choice(yes, len(yes)), rng.choice(no, len(no))])
        again = _percentiles(mine[drawn], rng)[: len(yes)]
        boots[b] = [_effort(again), *_recall(again)]
    lower, upper = np.quantile(boots[:, 1:], (0.025, 0.975), axis=0)
    effort = float(np.mean([_effort(r[y]) for r in ranks]))
    low, high = np.quantile(boots[:, 0], (0.025, 0.975))
    low, high = min(float(low), effort), max(float(high), effort)
    return Curve(
        included=len(yes), excluded=len(no), effort=_SHARES, recall=recall, lower=np.minimum(lower, recall),
        upper=np.maximum(upper, recall), effort95=effort, effort95_lower=low, effort95_upper=high,
        wss95=RECALL - effort, wss95_lower=RECALL - high, wss95_upper=RECALL - low, told=_caveats(len(yes)),
    )  # fmt: skip


def _held_back(matrix: Any, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each record, the share of its fold that a model without the fold ranks before it, or with it."""
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(int(min(FOLDS, y.sum(), (~y).sum())), shuffle=True, random_state=int(rng.integers(2**31)))
    ranks = np.empty(len(y))
    for train, held in folds.split(np.zeros(len(y)), y):
        scores = _scores(matrix, train, y[train], held)
        ranks[held] = _percentiles(-scores, rng)
    return ranks


def _percentiles(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rank / number, the smallest first, ties in random order."""
    order = np.lexsort((rng.random(len(values)), values))
    ranks = np.empty(len(values))
    ranks[order] = np.arange(1, len(values) + 1) / len(values)
    return ranks


def _recall(of_included: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.sort(of_included), _SHARES + 1e-12, side="right") / len(of_included)


def _effort(of_included: np.ndarray) -> float:
    """The share of records to read until 95 % of the included ones are found."""
    return float(np.sort(of_included)[math.ceil(RECALL * len(of_included) - 1e-9) - 1])


def _caveats(included: int) -> tuple[str, ...]:
    told = [
        "The curve is of records already decided on. It tells how the model would do on records like them, not whether "
        "the records that nobody has read hold further relevant ones.",
        "Held-back records are ranked by a model that saw the other decisions; early in a screening it knows less.",
    ]
    if included < FEW:
        told.append(
            f"With {included} included records, 95 % recall is not to be told from finding all of them: one record is "
            f"{1 / included:.0%} of recall. Read the interval, not the number."
        )
    return tuple(told)


def stopping(unread: int, found: int, sample: Sequence[bool]) -> Stopping:
    """What a random sample of the unread records says about the rest.

    Parameters
    ----------
    unread : int
        Records that nobody decided on.
    found : int
        Records included so far, those of the sample among them.
    sample : sequence of bool
        Decisions on the records that were drawn at random from the unread ones: True for included.

    Returns
    -------
    Stopping

    Examples
    --------
    >>> stopping(0, 12, []).told
    'Every record has been read: nothing is left to stop for.'
    >>> stopping(700, 40, [False] * 300).missed_upper
    8
    """
    n, k = len(sample), int(sum(sample))
    if unread == 0:
        return Stopping(unread=0, found=found, sample=n, sample_included=k, missed_upper=0, recall_lower=1.0,
                        told="Every record has been read: nothing is left to stop for.")  # fmt: skip
    if n == 0:
        return Stopping(
            unread=unread, found=found, sample=0, sample_included=0, missed_upper=None, recall_lower=None,
            told=f"Nothing can be said about the {unread:,} unread records: those read were chosen by rank, which says "
            "nothing about the others. To stop early, read a random sample of them "
            f"(enthesis screen next --random); {min(SAMPLE, unread)} without a relevant one say that at most about 1 "
            "in 100 is relevant.",
        )  # fmt: skip
    missed = _missed(unread, n, k)
    share = found / (found + missed) if found + missed else None
    words = (
        "no more relevant record is"
        if missed == 0
        else f"at most {missed:,} relevant record{'s are' if missed > 1 else ' is'}"
    )
    told = (
        f"A random sample of {n:,} found {k:,} relevant: with 95 % confidence {words} among the {unread:,} unread ones"
        + (f", so at least {share:.0%} of all relevant records were found." if share is not None else ".")
        + " Whether that is enough is for the review team to say, not for the software."
    )
    return Stopping(unread=unread, found=found, sample=n, sample_included=k, missed_upper=missed, recall_lower=share,
                    told=told)  # fmt: skip


def _missed(unread: int, n: int, k: int) -> int:
    """The most relevant records that may be unread, when n drawn from unread + n held k: one-sided 95 % bound.

    The largest K with P(X <= k) > 0.05 for X hypergeometric(unread + n, K, n), less the k that were found.
    """
    from scipy.stats import hypergeom

    low, high = k, unread + k
    while low < high:
        middle = (low + high + 1) // 2
        if hypergeom.cdf(k, unread + n, middle, n) > 0.05:
            low = middle
        else:
            high = middle - 1
    return low - k


__all__ = ["Curve", "Ranked", "Stopping", "curve", "rank", "stopping", "words_of"]
