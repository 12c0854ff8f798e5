"""A review is a folder of data; running it answers every question and says what it could not answer."""

import shutil

import pytest

from enthesis.errors import DataError, UsageError
from enthesis.evidence import bundled_evidence
from enthesis.living.review import Review, run_review
from enthesis.models.priors import HalfNormal

REVIEW = Review.load("axspa")
SMALL = "asas40-nr-naive"


@pytest.fixture(scope="module")
def run():
    return run_review(REVIEW, only=[SMALL, "asas40-nr-ir", "dptga"])


@pytest.fixture
def folder(tmp_path):
    """A copy of the bundled review that a test may spoil."""
    shutil.copytree(REVIEW.folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_every_question_is_in_one_chapter():
    listed = [i for chapter in REVIEW.chapters for i in chapter.questions]
    assert listed == [q.id for q in REVIEW.questions]


def test_every_question_has_a_primary_model():
    first = [next(m for m in REVIEW.models if m.applies_to(q)).role for q in REVIEW.questions]
    assert set(first) == {"primary"}


def test_the_prior_of_tau_follows_the_unit_of_the_outcome():
    random = next(m for m in REVIEW.models if m.id == "random")
    priors = [random.model(REVIEW.question(i)).heterogeneity.sd for i in ("asas40", "dcrp")]
    assert priors == [HalfNormal(0.5), HalfNormal(10.0)]


def test_every_mean_outcome_asked_has_its_own_prior():
    random = next(m for m in REVIEW.models if m.id == "random")
    assert {q.outcome for q in REVIEW.questions if q.kind == "continuous"} <= set(random.prior_tau_for)


def test_a_stratum_without_studies_is_answered_with_the_reason(run):
    found = run.answer("asas40-nr-ir")
    assert found.network is None
    assert "no study answers the question" in found.problem


def test_the_first_fit_is_of_the_primary_model(run):
    assert list(run.answer(SMALL).fits) == ["random", "reml"]


def test_the_baseline_is_the_pooled_risk_of_the_reference_arms(run):
    found = run.answer(SMALL).baseline
    assert (found.treatment, found.events, found.n, found.studies) == ("placebo", 50 + 20, 171 + 105, 2)


def test_an_outcome_of_means_has_no_baseline_risk(run):
    assert run.answer("dptga").baseline is None


def test_the_answers_come_in_the_order_of_the_chapters(run):
    assert [a.question.id for _, _, its in run.chapters for a in its] == [SMALL, "asas40-nr-ir", "dptga"]


def test_the_overview_has_a_line_per_question(run):
    assert run.overview()["question"].tolist() == [SMALL, "asas40-nr-ir", "dptga"]


def test_running_again_gives_the_same_hash_and_the_same_numbers(run):
    again = run_review(REVIEW, only=[SMALL, "asas40-nr-ir", "dptga"])
    same = (again.answer(SMALL).fit.estimate == run.answer(SMALL).fit.estimate).all()
    assert (again.content_hash, same) == (run.content_hash, True)


def test_a_copy_of_the_review_in_a_folder_gives_the_same_network(run, folder):
    copy = run_review(folder, only=SMALL)
    assert copy.answer(SMALL).network.content_hash == run.answer(SMALL).network.content_hash


def test_progress_goes_from_nothing_to_everything():
    seen = []
    run_review(REVIEW, only=SMALL, progress=lambda done, total, label: seen.append((done, total)))
    assert (seen[0], seen[-1]) == ((0, 1), (2, 2))


def test_two_processes_give_the_same_numbers_as_one(run):
    two = run_review(REVIEW, only=[SMALL, "asas40-nr-ir", "dptga"], workers=2)
    pairs = [(a.estimate == b.estimate).all() for q in (SMALL, "dptga")
             for a, b in zip(two.answer(q).fits.values(), run.answer(q).fits.values(), strict=True)]  # fmt: skip
    assert all(pairs)


def test_equal_data_keep_the_title_of_their_own_question():
    run = run_review(REVIEW, only=["asas40-ir", "asas40-r-ir"])
    assert [a.fit.network.title for a in run.answers] == [a.question.title for a in run.answers]


def test_only_takes_an_outcome_by_its_synonym():
    assert {q.outcome for q in REVIEW.matching("asas 20")} == {"ASAS20"}


def test_only_refuses_a_name_that_matches_nothing_and_names_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'asas40-nr'"):
        REVIEW.matching("asas40-nrr")


def test_only_refuses_an_outcome_that_the_review_does_not_ask():
    with pytest.raises(UsageError, match="'HZ' is not known"):
        REVIEW.matching("HZ")


def test_an_unknown_review_names_the_known_ones():
    with pytest.raises(UsageError, match="axspa"):
        Review.load("axpsa")


SPOILED = [
    ("review.toml", 'id = "axspa"', 'id = "AX SPA"', "lower-case letters"),
    ("review.toml", 'main_question = "asas40"', 'main_question = "asas4"', "Did you mean 'asas40'"),
    ("review.toml", "focus_class", "focus_clas", "Did you mean 'focus_class'"),
    ("models/random.toml", "half-normal(0.5)", "half-normal(wide)", "finite number"),
    ("models/random.toml", 'engine = "auto"', 'engine = "jags"', "'laplace'"),
    ("models/random.toml", "dCRP =", "dCPR =", "Did you mean 'dCRP'"),
    ("models/reml.toml", 'id = "reml"', 'id = "random"', "used by two"),
    ("questions/asas40.toml", 'id = "asas40-r"', 'id = "asas40"', "used by two questions"),
    ("treatments.toml", 'drug = "upadacitinib"', 'drug = "upa"', "no .*drug.* table has"),
    ("treatments.toml", "\nspecific = false", '\nspecific = "no"', "wrong type"),
    ("treatments.toml", 'licensed = "yes"', 'licensed = "maybe"', "yes or no"),
    ("treatments.toml", "drug_class =", "klass =", "is not a key of this table"),
]


@pytest.mark.parametrize(("name", "old", "new", "mend"), SPOILED)
def test_a_wrong_file_of_a_review_is_refused_by_name_with_the_mend(folder, name, old, new, mend):
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=mend):
        Review.load(folder)


def test_a_review_without_questions_is_refused(folder):
    shutil.rmtree(folder / "questions")
    with pytest.raises(DataError, match="no questions"):
        Review.load(folder)


def test_the_bundled_evidence_is_loaded_once():
    assert REVIEW.evidence() is bundled_evidence()
