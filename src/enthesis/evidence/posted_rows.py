"""Rows about a registry record: all that it posts, what a person is asked about it, and what was answered.

`posted` holds every number of a record as printed, also those that no other table knows. A question names the text that
it is about; an answer is a judgement, holds wherever that text appears in the record, and is used at every import.
"""

from __future__ import annotations

from typing import Literal

from enthesis.evidence.cells import Filled, Key, NotNegative, Number, Percent, Row, Text, Whole

PostedSection = Literal["flow", "baseline", "outcome", "analysis", "adverse"]
QuestionKind = Literal["group", "outcome", "scale", "week", "direction", "arm", "population", "conflict"]


class Posted(Row):
    """One number, or a few that belong together, as a registry posts it."""

    source_id: Key
    locator: Filled
    study_id: Key
    section: PostedSection
    title: Text = ""
    part: Text = ""
    posted_group: Text = ""
    arm_id: Text = ""
    comparator_arm_id: Text = ""
    outcome: Text = ""
    week: NotNegative = None
    measure: Text = ""
    events: Whole = None
    n: Whole = None
    percent: Percent = None
    derived: Literal["", "yes", "no"] = ""
    number_of_events: Whole = None
    mean: Number = None
    sd: NotNegative = None
    se: NotNegative = None
    ci_low: Number = None
    ci_high: Number = None
    ci_level: Percent = None
    value: Number = None
    low: Number = None
    high: Number = None
    spread: Number = None
    param: Text = ""
    dispersion: Text = ""
    unit: Text = ""
    effect: Text = ""
    estimate: Number = None
    p_value: Text = ""
    method: Text = ""
    time_frame: Text = ""
    analysis_set: Text = ""
    estimator: Text = ""
    doubt: Text = ""
    note: Text = ""


class UnparsedPlace(Row):
    """A place of a source that is no fact, with the reason."""

    source_id: Key
    locator: Text = ""
    reason: Filled


class Question(Row):
    """A question to a person: what is proposed, and why it is not sure."""

    source_id: Key
    kind: QuestionKind
    subject: Filled
    proposal: Text = ""
    reason: Filled
    locator: Text = ""


class Answer(Row):
    """What a person answered to a question."""

    source_id: Key
    kind: QuestionKind
    subject: Filled
    value: Filled
    reason: Filled
