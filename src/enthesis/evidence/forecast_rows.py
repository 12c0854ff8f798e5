"""Rows about forecasts: what was expected of a trial before it reported, kept so that it can be scored afterwards."""

from __future__ import annotations

from typing import Literal

from enthesis.evidence.cells import Filled, Fraction, Key, NotNegative, Number, Row, Text, Whole


class Forecast(Row):
    """What a trial was expected to show, and to change in one conclusion.

    `basis` is the content hash of the fit that it was made from. `holds`, `open` and `refuted` are the probabilities of
    each state of the conclusion after the trial; `effect_mean` and `effect_sd` describe the effect of the first
    treatment against the control that it was expected to show, on the model's scale.
    """

    nct_id: Key
    question: Key
    conclusion: Text = ""
    basis: Filled
    made_on: Filled
    label: Text = ""
    arms: Text = ""
    patients: Whole = None
    treatment: Text = ""
    comparator: Text = ""
    measure: Text = ""
    effect_mean: Number = None
    effect_sd: NotNegative = None
    asked: Text = ""
    state: Literal["", "holds", "open", "refuted"] = ""
    probability: Fraction = None
    holds: Fraction = None
    open: Fraction = None
    refuted: Fraction = None


#: one forecast per trial, question, conclusion and fit
KEY = ("nct_id", "question", "conclusion", "basis")
