"""The certainty of a review's answers: settings, facts about studies, a person's decisions, and the ratings.

`certainty.toml` of a review names the questions that are rated and holds the judgements that are rules: where GRADE
starts by study type, what makes a study indirect, what raises a suspicion of bias, and what is judged where coherence
cannot be tested; each with its reason. A person's decision on a domain or a level lies in the store (table `overrides`,
subject `certainty|question|treatment|comparator`), has an author and a reason, and keeps the hash of the inputs it was
made on: when those change it still stands, but is marked to be judged again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enthesis.assess.bias import Judged, for_outcome, judgements, tool
from enthesis.assess.certainty import Rating, Ratings, Rules, StudyFacts, certainty
from enthesis.assess.concerns import DOMAINS, LEVELS, WEIGHINGS, Untestable
from enthesis.assess.grade import CERTAINTIES, overall
from enthesis.assess.reporting_bias import Conditions, Pair
from enthesis.errors import DataError, EnthesisError, UsageError, unknown_name
from enthesis.network.settings import read_toml

if TYPE_CHECKING:
    from enthesis.evidence import Evidence
    from enthesis.network.question import Question
    from enthesis.network.treatments import TreatmentMap

#: what an override is about, in its column `item`, beside the domains
LEVEL_ITEM = "rating"
_TOP = ("questions", "rules", "incoherence", "reporting_bias", "start", "proposal", "indirectness")


@dataclass(frozen=True, kw_only=True)
class StudyRule:
    """A judgement that holds for every study of which some facts are recorded.

    Parameters
    ----------
    when : dict
        By name of a fact: a list of values, or `{above = x}`, `{below = x}`. All must hold. Facts are the columns of
        the table of studies, and of the selection: `used_week`, `used_subgroup`, `used_estimator`, `analysed_fraction`.
    level : int
        1 to 3.
    reason : str
    domain : str
        For proposals of a risk of bias: the domain of the tool.
    questions : tuple of str
        Ids it is limited to; empty for all.
    """

    when: Mapping[str, Any]
    level: int
    reason: str
    domain: str = ""
    questions: tuple[str, ...] = ()

    def applies(self, facts: Mapping[str, Any], question: str) -> bool:
        """Whether it holds for a study in a question."""
        if self.questions and question not in self.questions:
            return False
        return all(_holds(test, facts.get(name)) for name, test in self.when.items())


def _holds(test: Any, value: Any) -> bool:
    if isinstance(test, Mapping):
        if not isinstance(value, int | float) or value != value:
            return False
        return value > test.get("above", float("-inf")) and value < test.get("below", float("inf"))
    if value is None or value != value:
        value = ""
    values = value if isinstance(value, set | tuple | list) else [value]
    return any(v in test for v in values)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `certainty.toml` holds.

    Parameters
    ----------
    questions : tuple of str
        Ids of the questions that are rated.
    rules : Rules
    start : dict of str to level
        By study type.
    proposals, indirectness : tuple of StudyRule
    """

    questions: tuple[str, ...]
    rules: Rules = field(default=Rules())
    start: Mapping[str, str] = field(default_factory=lambda: {"rct": "high"})
    proposals: tuple[StudyRule, ...] = ()
    indirectness: tuple[StudyRule, ...] = ()


def read_settings(path: Path) -> Settings:
    """The settings of a review.

    Raises
    ------
    DataError
        When a key or a value is wrong: it names file, key and mend.
    """
    raw, name = read_toml(path), path.name
    for key in raw:
        _one_of(key, _TOP, name, key)
    rules = raw.get("rules", {})
    report = raw.get("reporting_bias", {})
    untestable = raw.get("incoherence", {})
    for table, known in ((rules, ("within_study_bias", "indirectness", "unjudged")),
                         (report, ("suggest_bias", "suggest_none", "missing_share")),
                         (untestable, ("direct", "indirect", "only_direct", "reason"))):  # fmt: skip
        for key in table:
            _one_of(key, known, name, key)
    for key in ("within_study_bias", "indirectness"):
        _one_of(rules.get(key, "average"), WEIGHINGS, name, f"rules.{key}")
    for value in (rules.get("unjudged", LEVELS[1]), *(untestable.get(k, LEVELS[2]) for k in ("direct", "indirect"))):
        _one_of(value, LEVELS, name, "rules.unjudged, incoherence")
    _one_of(
        untestable.get("only_direct", "global test"), ("global test", "no concerns"), name, "incoherence.only_direct"
    )
    for key, value in report.items():
        share = key == "missing_share"
        texts = isinstance(value, list) and all(isinstance(v, str) for v in value)
        if not (type(value) in (int, float) if share else texts):
            raise DataError("must be a number" if share else "must be a list of texts", file=name,
                            column=f"reporting_bias.{key}", value=value, fix="Correct the value.")  # fmt: skip
    for value in raw.get("start", {}).values():
        _one_of(value, CERTAINTIES, name, "start")
    return Settings(
        questions=tuple(raw.get("questions", ())),
        rules=Rules(
            **rules, untestable=Untestable(**untestable),
            conditions=Conditions(**{k: tuple(v) if isinstance(v, list) else float(v) for k, v in report.items()}),
        ),
        start=raw.get("start", {"rct": "high"}),
        proposals=_study_rules(raw, "proposal", name),
        indirectness=_study_rules(raw, "indirectness", name),
    )  # fmt: skip


def _study_rules(raw: Mapping[str, Any], table: str, file: str) -> tuple[StudyRule, ...]:
    made = []
    for rule in raw.get(table, ()):
        for key in rule:
            _one_of(key, [f.name for f in fields(StudyRule)], file, f"{table}.{key}")
        if not rule.get("reason") or not rule.get("when"):
            raise DataError("lacks when or reason", file=file, column=table, fix="Say for which studies, and why.")
        _one_of(rule.get("level"), (1, 2, 3), file, f"{table}.level")
        made.append(StudyRule(**{**rule, "questions": tuple(rule.get("questions", ()))}))
    return tuple(made)


def _one_of(value: Any, known: Sequence[Any], file: str, column: str) -> None:
    if value not in known:
        raise DataError("is not known here", file=file, column=column, value=value,
                        fix=f"Use one of {', '.join(map(str, known))}.")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Certainties:
    """The part `certainty` of a run.

    Parameters
    ----------
    by_question : dict of str to Ratings
    problems : dict of str to str
        By question, why it could not be rated.
    judged : dict of str to Judged
        By study, risk of bias by a person, over all outcomes; proposals by rule are not among them.
    rules : Rules
    """

    by_question: Mapping[str, Ratings]
    problems: Mapping[str, str] = field(default_factory=dict)
    judged: Mapping[str, Judged] = field(default_factory=dict)
    rules: Rules = field(default=Rules())

    def rating(self, question_id: str, treatment: str, comparator: str) -> Rating | None:
        """The rating of an estimate, in either order; None when the question is not rated or does not link the two."""
        found = self.by_question.get(question_id)
        return None if found is None else found.rating(treatment, comparator)

    @property
    def re_judge(self) -> tuple[tuple[str, Rating], ...]:
        """(question, rating) where a person's judgement rests on inputs that have changed."""
        return tuple((q, r) for q, rated in self.by_question.items() for r in rated.all if r.re_judge)


def compute(run: Any, settings: Path, done: Mapping[str, Any]) -> Certainties:
    """Rate the questions of a run that the settings name.

    Parameters
    ----------
    run : Run
    settings : Path
        `certainty.toml` of the review.
    done : dict
        Parts computed before; none is used.

    Returns
    -------
    Certainties
    """
    chosen = read_settings(settings)
    known = {a.question.id: a for a in run.answers}
    wanted = chosen.questions or tuple(known)
    for id in wanted:
        if id not in {q.id for q in run.review.questions}:
            raise DataError(str(unknown_name("question", id, known)), file=settings.name, column="questions")
    rated, problems = {}, {}
    for id in wanted:
        answer = known.get(id)
        if answer is None:
            continue
        try:
            rated[id] = rate(answer, chosen, run.evidence, run.review.treatments)
        except EnthesisError as problem:
            problems[id] = str(problem)
    judged = {j.study: j for j in judgements(run.evidence)}
    return Certainties(by_question=rated, problems=problems, judged=judged, rules=chosen.rules)


def rate(answer: Any, settings: Settings, evidence: Evidence, treatments: TreatmentMap) -> Ratings:
    """The ratings of one answer, with persons' decisions in place.

    Parameters
    ----------
    answer : Answer
    settings : Settings
    evidence : Evidence
    treatments : TreatmentMap

    Returns
    -------
    Ratings

    Raises
    ------
    UsageError
        When the question has no answer.
    """
    if answer.fit is None:
        why = answer.problem or "; ".join(answer.problems.values()) or "no model gave a fit."
        raise UsageError(f"question {answer.question.id!r} cannot be rated: {why}")
    made = certainty(
        answer.fit, study_facts(answer, settings, judgements(evidence)), rules=settings.rules,
        missing=missing_results(answer.selection, answer.fitted, evidence, treatments),
    )  # fmt: skip
    return with_overrides(made, overrides(evidence).get(answer.question.id, ()))


def study_facts(answer: Any, settings: Settings, found: Sequence[Judged] = ()) -> dict[str, StudyFacts]:
    """What is known of each study of an answer.

    Parameters
    ----------
    answer : Answer
        Its selection and question are read.
    settings : Settings
    found : sequence of Judged
        Risk of bias by persons.

    Returns
    -------
    dict of str to StudyFacts
    """
    question: Question = answer.question
    by_person = for_outcome(found, question.outcome, question.asked.domain)
    made = {}
    for choice in answer.selection.choices:
        facts = recorded(choice)
        indirect = [r for r in settings.indirectness if r.applies(facts, question.id)]
        worst = max(indirect, key=lambda r: r.level, default=None)
        person = by_person.get(choice.study)
        proposed = proposal(choice.study, facts, settings, question.id)
        level = person.level if person is not None and person.level else proposed.level if proposed else None
        made[choice.study] = StudyFacts(
            bias=level, judged=person is not None and person.level > 0,
            bias_because=proposed.reason if proposed else "",
            indirectness=worst.level if worst else 1, indirect_because=worst.reason if worst else "",
            start=settings.start.get(facts.get("design", ""), "high"),
        )  # fmt: skip
    return made


def recorded(choice: Any) -> dict[str, Any]:
    """The recorded facts of a study used in an answer: its row, and what was chosen of it."""
    rows = [row for arm in choice.arms for row in arm.rows]
    facts = dict(rows[0].study) if rows else {}
    sizes = [(row.n, (row.arm or {}).get("n_randomised")) for row in rows]
    whole = [(n, all_) for n, all_ in sizes if n and isinstance(all_, int | float) and all_ == all_ and all_ > 0]
    of_all = choice.subgroup == "all" and len(whole) == len(sizes) and whole
    return facts | {
        "used_week": choice.week, "used_subgroup": choice.subgroup,
        "used_estimator": {row.estimator for row in rows},
        "analysed_fraction": sum(n for n, _ in whole) / sum(a for _, a in whole) if of_all else None,
    }  # fmt: skip


def proposal(study: str, facts: Mapping[str, Any], settings: Settings, question: str) -> Judged | None:
    """What the review's rules propose of a study's risk of bias; None when no rule speaks of it."""
    its = tool("rob2-2019")
    names = {1: "low", 2: "some-concerns", 3: "high"}
    fired = [r for r in settings.proposals if r.applies(facts, question)]
    if not fired:
        return None
    domains = {d.id: "no-information" for d in its.domains}
    for rule in sorted(fired, key=lambda r: r.level):
        domains[rule.domain] = names[rule.level]
    worst = its.worst([its.level(word) for word in domains.values()])
    return Judged(study=study, tool=its.id, domains=domains, overall=worst.id, by="rule",
                  reason="; ".join(dict.fromkeys(r.reason for r in fired)))  # fmt: skip


def missing_results(selection: Any, network: Any, evidence: Evidence, treatments: TreatmentMap) -> dict[Pair, int]:
    """By comparison of the network, how many completed studies compared the two without a result in the evidence.

    Parameters
    ----------
    selection : Selection
    network : Network
    evidence : Evidence
    treatments : TreatmentMap

    Returns
    -------
    dict of (treatment, comparator) to int
    """
    out = selection.studies_out()
    silent = set(out.loc[out["rule"] == "outcome not reported", "study"]) if len(out) else set()
    if not silent:
        return {}
    studies, arms = evidence.studies, evidence.arms
    asked = studies[studies["study_id"].isin(silent) & studies["status"].isin(["", "completed"])]
    line = selection.question.line
    if line != "any":
        asked = asked[asked["prior_biologic"] == line]
    known = set(network.treatment_names)
    nodes: dict[str, set[str]] = {}
    for arm in arms[arms["study_id"].isin(asked["study_id"])].to_dict("records"):
        dose = arm["dose"]
        node = treatments.node({**arm, "dose": None if dose != dose else dose}, selection.question.nodes)
        if node.name in known:
            nodes.setdefault(arm["study_id"], set()).add(node.name)
    counts: Counter[Pair] = Counter()
    for its in nodes.values():
        counts.update(combinations(sorted(its), 2))
    return dict(counts)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A person's decision on a domain, or on the level, of one estimate."""

    question: str
    treatment: str
    comparator: str
    item: str
    value: str
    reason: str
    author: str
    date: str
    inputs: str


def overrides(evidence: Evidence) -> dict[str, tuple[Decision, ...]]:
    """The decisions on certainty in the store, by question."""
    found: dict[str, list[Decision]] = {}
    for r in evidence.overrides.to_dict("records"):
        parts = r["subject"].split("|")
        if len(parts) != 4 or parts[0] != "certainty":
            continue
        made = Decision(question=parts[1], treatment=parts[2], comparator=parts[3], item=r["item"], value=r["value"],
                        reason=r["reason"], author=str(r.get("author") or "a person"),
                        date=str(r.get("recorded_at", ""))[:10], inputs=str(r.get("inputs", "") or ""))  # fmt: skip
        found.setdefault(parts[1], []).append(made)
    return {id: tuple(its) for id, its in found.items()}


def override_row(question: str, rating: Rating, item: str, value: str) -> dict[str, str]:
    """A decision as a row of the table `overrides`, ready for `Store.judge`, with the hash of what it is made on.

    Parameters
    ----------
    question : str
        Id.
    rating : Rating
        As it stands now.
    item : str
        A domain, or "rating" for the level.
    value : str
        "no concerns", "some concerns" or "major concerns"; for the level "high", "moderate", "low" or "very low".

    Raises
    ------
    UsageError
        For an unknown item or value.
    """
    known = CERTAINTIES if item == LEVEL_ITEM else LEVELS
    if item != LEVEL_ITEM and item not in DOMAINS:
        raise unknown_name("domain", item, [*DOMAINS, LEVEL_ITEM])
    if value not in known:
        raise unknown_name("judgement", value, known)
    if "|" in question + rating.treatment + rating.comparator:
        raise UsageError("a name with '|' cannot be the subject of an override; rename the treatment.")
    return {"subject": "|".join(["certainty", question, rating.treatment, rating.comparator]), "item": item,
            "value": value, "inputs": inputs_of(rating, item)}  # fmt: skip


def inputs_of(rating: Rating, item: str) -> str:
    """The hash of what a judgement on an item rests on: the inputs of its domain, or of all domains."""
    from enthesis.hashing import content_hash

    if item == LEVEL_ITEM:
        return content_hash([c.inputs_hash for c in rating.concerns])[:16]
    return rating.concern(item).inputs_hash


def with_overrides(rated: Ratings, decided: Sequence[Decision]) -> Ratings:
    """Ratings with persons' decisions in place of the computed ones, marked where their inputs have changed."""
    if not decided:
        return rated
    by_pair: dict[frozenset[str], list[Decision]] = {}
    for d in decided:
        known = CERTAINTIES if d.item == LEVEL_ITEM else LEVELS if d.item in DOMAINS else ()
        if d.value not in known:
            what = f"is no judgement on {d.item!r} of {d.treatment} against {d.comparator}"
            raise DataError(what, file="overrides", column="value", value=d.value,
                            fix=f"Use {', '.join(known) or 'the name of a domain'}.")  # fmt: skip
        by_pair.setdefault(frozenset((d.treatment, d.comparator)), []).append(d)
    there = {frozenset((r.treatment, r.comparator)) for r in rated.all}
    notes = tuple(
        f"{d.item} of {d.treatment} against {d.comparator}, judged {d.value} by {d.author} ({d.date})."
        for pair, its in by_pair.items() if pair not in there for d in its
    )  # fmt: skip
    made = tuple(_decided(r, by_pair.get(frozenset((r.treatment, r.comparator)), ())) for r in rated.all)
    return replace(rated, all=made, notes=notes)


def _decided(rating: Rating, decided: Sequence[Decision]) -> Rating:
    if not decided:
        return rating
    stale = {d.item for d in decided if d.inputs and d.inputs != inputs_of(rating, d.item)}
    by_item = {d.item: d for d in decided}
    concerns = []
    for c in rating.concerns:
        d = by_item.get(c.domain)
        if d is None:
            concerns.append(c)
            continue
        concerns.append(c.replace(level=d.value, by=d.author, proposed=c.level, re_judge=c.domain in stale,
                                  reason=_said(d, c.level, c.reason, c.domain in stale)))  # fmt: skip
    start, why = _started(rating.reason)
    level, reason = overall(concerns, start=start, why=why)
    made = replace(rating, concerns=tuple(concerns), level=level, reason=reason, re_judge=bool(stale))
    d = by_item.get(LEVEL_ITEM)
    if d is None:
        return made
    return replace(made, level=d.value, by=d.author, proposed=level,
                   reason=_said(d, level, reason, LEVEL_ITEM in stale))  # fmt: skip


def _started(reason: str) -> tuple[Any, str]:
    """Where a rating started, and why, read back from its own sentence."""
    start = next(level for level in sorted(CERTAINTIES, key=len, reverse=True) if reason.startswith(f"Starts {level} "))
    return start, reason.split("(", 1)[1].split(");", 1)[0]


def _said(d: Decision, proposed: str, reason: str, stale: bool) -> str:
    again = " The numbers under this judgement have changed since: re-judge." if stale else ""
    return f"Judged {d.value} by {d.author} ({d.date}): {d.reason}. By rule: {proposed}. {reason}{again}"
