"""Parts of a review: what is computed from all answers together."""

from dataclasses import dataclass

import pytest

from enthesis.errors import ModelError, UsageError
from enthesis.living import parts as module
from enthesis.living.parts import Part, parts_of
from enthesis.living.review import run_review
from enthesis.report.document import review_document
from enthesis.report.render.json import results
from enthesis.report.values import Section, Text


@dataclass(frozen=True)
class Value:
    answers: int
    before: tuple[str, ...]


def compute(run, settings, done):
    return Value(len(run.answers), tuple(done))


def refuse(run, settings, done):
    raise ModelError("there are no events.")


def sections(value, run, read):
    return (Section(id="made", title="Made by a part", blocks=(Text((str(value.answers),)),)),)


def as_json(value, run):
    return {"made": [{"answers": value.answers, "before": list(value.before)}]}


def messages(value, run, read):
    return (("A message of the part.",),)


def limits(value, run, read):
    return (("A limit of the part.",),)


def part(name, **changed):
    here = __name__
    given = {"compute": f"{here}:compute", "report": f"{here}:sections", "json": f"{here}:as_json",
             "messages": f"{here}:messages", "limits": f"{here}:limits", "settings": "review.toml"}  # fmt: skip
    return Part(name=name, **{**given, **changed})


@pytest.fixture
def run(monkeypatch):
    made = (part("first"), part("off", settings="absent.toml"), part("broken", compute=f"{__name__}:refuse"))
    monkeypatch.setattr(module, "PARTS", (*made, part("last", where="front")))
    monkeypatch.setattr("enthesis.report.document.PARTS", module.PARTS)
    return run_review("axspa", only="asas40-nr", parts=("first", "broken", "last"))


def test_a_part_sees_the_run_and_the_parts_before_it(run):
    assert run.parts == {"first": Value(1, ()), "last": Value(1, ("first",))}


def test_a_part_that_cannot_be_computed_is_said_and_stops_nothing(run):
    assert run.part_problems == {"broken": "there are no events."}
    shown = {s.id: s for s in review_document(run).sections}
    assert "there are no events." in shown["part-broken"].blocks[0].parts


def test_sections_stand_where_the_part_wants_them(run):
    order = [s.title for s in review_document(run).sections]
    assert order[1] == "Made by a part"
    assert order.index("Methods") > len(order) - 1 - order[::-1].index("Made by a part")


def test_keys_of_a_part_are_in_the_results(run):
    told = results(run)
    assert told["made"] == [{"answers": 1, "before": ["first"]}]
    assert told["part_problems"] == {"broken": "there are no events."}


def test_messages_and_limits_of_a_part_are_told_with_the_others(run):
    told = results(run)
    assert told["key_messages"][-1] == "A message of the part."
    assert told["limits"][-1] == "A limit of the part."


def test_some_questions_alone_do_not_pay_for_parts(monkeypatch):
    monkeypatch.setattr(module, "PARTS", (part("broken", compute="no.such:function"),))
    assert run_review("axspa", only="asas40-nr").parts == {}


def test_a_part_without_settings_in_the_folder_is_refused_by_name(run):
    with pytest.raises(UsageError, match="part of the review 'off' is not known"):
        parts_of(run.review.folder, ("off",))
