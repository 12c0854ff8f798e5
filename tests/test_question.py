"""A question is TOML: read, refused with the key and the mend, and written back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enthesis.errors import DataError
from enthesis.living.review import Review
from enthesis.network.question import Question, questions_from_toml, read_questions

GOOD = {"id": '"q"', "title": '"t"', "outcome": '"ASAS40"', "populations": '["r-axSpA"]'}


def toml(**keys: str) -> str:
    return "".join(f"{name} = {value}\n" for name, value in {**GOOD, **keys}.items())


BAD = [
    ({"outcome": '"ASAS41"'}, "outcome", "Did you mean 'ASAS40'"),
    ({"populations": '["r-axSpa"]'}, "populations", "'nr-axSpA'"),
    ({"populations": '"r-axSpA"'}, "populations", r"Write \[\"r-axSpA\"\]"),
    ({"populations": "[]"}, "populations", "at least 1"),
    ({"id": '"../x"'}, "id", "lower-case letters"),
    ({"nodes": '"agent"'}, "nodes", "'dose', 'drug', 'class'"),
    ({"measure": '"ORR"'}, "measure", "Did you mean 'RR'"),
    ({"measure": '"MD"'}, None, "ASAS40, which is reported as binary"),
    ({"weeks": "[16, 12]"}, None, "starts at 16 and ends before it"),
    ({"weeks": "[12, 16, 20]"}, "weeks", "at most 2"),
    ({"weeks": "[12, nan]"}, "weeks", "finite"),
    ({"target_week": "30"}, None, "outside the weeks 12 to 16"),
    ({"include_deduced": '"yes"'}, "include_deduced", "true or false"),
    ({"estimators": '["NRIx"]'}, "estimators", "NRI-MI"),
    ({"tiers": '["no"]'}, "tiers", "'sensitivity'"),
    ({"mid": "-1"}, "mid", "greater than 0"),
    ({"week": "12"}, "week", "Did you mean 'weeks'"),
    ({"title": '""'}, "title", "at least 1 character"),
]


@pytest.mark.parametrize(("change", "key", "mend"), BAD)
def test_a_wrong_key_is_refused_with_the_file_the_key_and_the_mend(change, key, mend):
    with pytest.raises(DataError, match=mend) as refused:
        Question.from_toml(toml(**change), file="q.toml")
    assert (refused.value.file, refused.value.column) == ("q.toml", key)


def test_a_missing_key_is_named():
    with pytest.raises(DataError, match="column 'title': is missing"):
        Question.from_toml('id = "q"\noutcome = "ASAS40"\npopulations = ["r-axSpA"]')


def test_text_that_is_not_toml_is_refused_with_its_line():
    with pytest.raises(DataError, match="line 1"):
        Question.from_toml("what works?")


def test_a_synonym_of_an_outcome_becomes_its_code():
    assert Question.from_toml(toml(outcome='"asas 40"')).outcome == "ASAS40"


def test_a_file_without_the_question_table_holds_one_question():
    assert len(questions_from_toml(toml())) == 1


def test_keys_at_the_top_are_shared_and_a_question_table_overrides_them():
    text = 'outcome = "ASAS40"\npopulations = ["r-axSpA"]\nnodes = "class"\n'
    text += '[[question]]\nid = "a"\ntitle = "a"\n[[question]]\nid = "b"\ntitle = "b"\nnodes = "dose"\n'
    assert [(q.id, q.nodes) for q in questions_from_toml(text)] == [("a", "class"), ("b", "dose")]


def test_two_questions_with_one_id_are_refused():
    text = 'outcome = "ASAS40"\npopulations = ["r-axSpA"]\n' + '[[question]]\nid = "a"\ntitle = "a"\n' * 2
    with pytest.raises(DataError, match="used by two questions"):
        questions_from_toml(text)


def test_a_file_of_several_is_not_read_as_one():
    text = 'outcome = "ASAS40"\npopulations = ["r-axSpA"]\n[[question]]\nid = "a"\ntitle = "a"\n'
    with pytest.raises(DataError, match="2 questions where one"):
        Question.from_toml(text + '[[question]]\nid = "b"\ntitle = "b"\n')


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "q.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        read_questions(tmp_path / "q.toml")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_questions(tmp_path / "none.toml")


def test_a_huge_file_is_refused(tmp_path):
    (tmp_path / "q.toml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(DataError, match="too large"):
        read_questions(tmp_path / "q.toml")


def test_the_outcomes_own_difference_is_used_when_the_question_has_none():
    question = Question.from_toml(toml())
    assert (question.difference, question.replace(mid=2.0).difference) == (1.25, 2.0)


def test_replace_checks_the_new_value():
    with pytest.raises(DataError, match="'dose', 'drug', 'class'"):
        Question.from_toml(toml()).replace(nodes="agent")


@pytest.mark.parametrize("question", Review.load("axspa").questions, ids=lambda q: q.id)
def test_every_question_of_the_review_survives_writing_and_reading(question):
    assert Question.from_toml(question.to_toml()) == question


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
weeks = st.floats(0, 200, allow_nan=False)


@given(title=texts, skip=st.lists(texts, max_size=3), week=st.tuples(weeks, weeks), deduced=st.booleans())
def test_any_question_survives_writing_and_reading(title, skip, week, deduced):
    first, last = sorted(week)
    question = Question(
        id="q", title=title, outcome="ASAS40", populations=("r-axSpA",), weeks=(first, last), target_week=first,
        exclude_studies=tuple(skip), include_deduced=deduced,
    )  # fmt: skip
    assert Question.from_toml(question.to_toml()) == question
