"""Places follow from evidence, licence and guideline by the rules, and move only when something under them moves.

The flip test changes one number of a copy of the bundled evidence and looks at what changes in the review.
"""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest

import enthesis as en
from enthesis.assess.licence import Licence, LicenceRow
from enthesis.assess.place import Number, Seen, decide
from enthesis.assess.place_settings import Cell, read_settings
from enthesis.errors import DataError, UsageError
from enthesis.evidence import bundled_folder
from enthesis.living.review import run_review
from enthesis.report.messages import key_messages
from enthesis.report.place import as_json, entry_record, messages, sections
from enthesis.report.place_words import sentence, words
from enthesis.report.render.json import words as plain_words
from enthesis.report.tables import readings
from enthesis.report.values import Link

FLAGSHIP = bundled_folder().parent
CELL = Cell(id="c", title="a cell", population="r-axSpA", line="naive", question="q")
QUESTIONS = ["asas40-r-naive", "asas40-r-ir"]


@pytest.fixture(scope="module")
def settings():
    return replace(read_settings(FLAGSHIP / "place.toml"), cells=(CELL,))


@pytest.fixture(scope="module")
def fit():
    """A drug that works and one that does not; both certain enough to decide."""
    rows = [dict(study=s, treatment=t, events=r, n=200) for s, t, r in
            (("1", "placebo", 40), ("1", "works", 100), ("2", "placebo", 42), ("2", "fails", 44))]  # fmt: skip
    network = en.from_table(rows, measure="OR", reference="placebo", better="higher")
    return en.fit(network, en.Model(heterogeneity=en.Common()), engine="gls")


def licensed(line="this line"):
    row = LicenceRow(region="EU", status="approved", date="2020", restriction="", line=line, by="licensed",
                     fact="regulatory.csv:row 2", sources=("s",))  # fmt: skip
    return Licence(rows=(row,))


def seen(fit, drug="works", **more):
    gain = Number(name="gain per 1,000", value=100.0, lower=50.0, upper=150.0, measure="per 1,000", question="q")
    known = {"cell": CELL, "drug": drug, "drug_class": "TNFi", "evidence": "stratum", "question": "q",
             "reference": "placebo", "n_studies": 1, "gain": gain, "fit": fit, "risk": 0.2, "certainty": "moderate",
             "licence": licensed()}  # fmt: skip
    return Seen(**{**known, **more})


def place_of(settings, *all_seen):
    return [e.place.id for e in decide(all_seen, settings).entries]


def test_a_licensed_drug_that_works_is_an_option(settings, fit):
    assert place_of(settings, seen(fit)) == ["option"]


def test_a_drug_that_does_not_work_is_not_supported(settings, fit):
    assert place_of(settings, seen(fit, "fails")) == ["not-supported"]


def test_a_refused_drug_is_not_licensed(settings, fit):
    assert place_of(settings, seen(fit, licence=licensed("no"))) == ["unlicensed"]


def test_a_drug_that_is_licensed_later_has_its_place_later(settings, fit):
    assert place_of(settings, seen(fit, licence=licensed("later line"))) == ["later"]


def test_too_little_certainty_leaves_it_open(settings, fit):
    entry = decide((seen(fit, certainty="very low"),), settings).entries[0]
    assert entry.place.id == "open"
    assert "option" in [f.rule.id for f in entry.nearly]


def test_certainty_that_is_not_rated_leaves_it_open_and_says_so(settings, fit):
    entry = decide((seen(fit, certainty=""),), settings).entries[0]
    assert entry.place.id == "open"
    assert "certainty not rated" in words(sentence(entry))


def test_without_evidence_nothing_is_said_of_the_effect(settings):
    silent = seen(None, evidence="none", gain=None, certainty="", silence="no study of it", risk=None)
    entry = decide((silent,), settings).entries[0]
    assert entry.place.id == "silent"
    assert "no study of it" in words(sentence(entry))
    assert not [f for f in entry.fired if any(isinstance(c.value, float) and "P(" in c.text for c in f.conditions)]


def test_evidence_of_any_line_is_named_as_such(settings, fit):
    broader = seen(fit, evidence="broader", cell=replace(CELL, broader_is="studies of any line"))
    entry = decide((broader,), settings).entries[0]
    assert entry.place.id == "any-line"
    assert "From studies of any line" in words(sentence(entry))


def test_a_changed_threshold_decides_again_from_the_same_evidence(settings, fit):
    found = decide((seen(fit),), settings)
    assert [e.place.id for e in found.decided_again({"option.least": 4}).entries] == ["open"]


def test_a_setting_that_does_not_exist_is_refused(settings):
    with pytest.raises(UsageError, match="Did you mean 'near'"):
        settings.with_values({"neer": 0.2})


def test_an_unknown_leading_guideline_is_refused(settings):
    with pytest.raises(UsageError, match="guideline 'nobody'"):
        settings.with_values({"guideline": "nobody"})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (("default = ", "defualt = "), "default"),
        (('place = "silent"', 'place = "slient"'), "Did you mean 'silent'"),
        (('line = "naive"', 'line = "native"'), "not a line of treatment"),
        (("near = 0.10", "near = 10"), "from 0 to 1"),
        (('position = "first"', 'position = "frist"'), "not a position"),
        (('cell = "r-naive"', 'cell = "r-native"'), "Did you mean 'r-naive'"),
    ],
)
def test_a_mistake_in_the_settings_is_named_with_its_file(tmp_path, change, match):
    text = (FLAGSHIP / "place.toml").read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / "place.toml").write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(DataError, match=match):
        read_settings(tmp_path / "place.toml")


# --- one number of the evidence is changed


def run(folder):
    return run_review(folder, only=QUESTIONS, roles=("primary",), parts=("certainty", "place"))


@pytest.fixture(scope="module")
def before():
    return run(FLAGSHIP)


@pytest.fixture(scope="module")
def after(tmp_path_factory):
    """The responses of one arm of one study, 43 of 83, become 10 of 83; everything else is as it was."""
    folder = tmp_path_factory.mktemp("flip") / "axspa"
    shutil.copytree(FLAGSHIP, folder)
    path = folder / "evidence" / "outcomes.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    its = [r for r in rows if (r["study_id"], r["arm_id"], r["outcome"], r["week"], r["events"], r["n"])
           == ("COAST-V", "ixekizumab-q2w", "ASAS40", "16", "43", "83")]  # fmt: skip
    assert len(its) == 1
    its[0].update(events="10", percent="12.0")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return run(folder)


def places(run):
    return {(e.seen.cell.id, e.seen.drug): e for e in run.parts["place"].entries}


def test_the_drug_loses_its_place(before, after):
    cell = ("r-naive", "ixekizumab")
    assert (places(before)[cell].place.id, places(after)[cell].place.id == "first") == ("first", False)


def test_its_certainty_falls(before, after):
    levels = ["very low", "low", "moderate", "high"]
    was, now = (levels.index(places(r)["r-naive", "ixekizumab"].seen.certainty) for r in (before, after))
    assert now < was


def test_no_other_drug_of_the_cell_changes_its_place(before, after):
    was, now = ({k: e.place.id for k, e in places(r).items() if k[1] != "ixekizumab"} for r in (before, after))
    assert was == now


def test_the_sentences_of_the_other_line_stay_word_for_word(before, after):
    was, now = ([words(sentence(e)) for k, e in places(r).items() if k[0] == "r-after"] for r in (before, after))
    assert was == now


def test_the_key_message_on_place_tells_it(before, after):
    was, now = (plain_words(messages(r.parts["place"], r, readings(r))[0]) for r in (before, after))
    assert "a first choice at this line: adalimumab and ixekizumab" in was
    assert "a first choice at this line: adalimumab;" in now


def test_the_key_messages_about_other_drugs_keep_their_first_sentence(before, after):
    was, now = ([plain_words(m).split(". ")[0] for m in key_messages(r, readings(r))[:2]] for r in (before, after))
    assert was == now
    assert was[0].startswith("Tofacitinib probably")


def test_every_number_in_a_sentence_leads_to_its_rows(before):
    known = set(before.evidence.outcomes["result_id"])
    used = before.answer("asas40-r-naive").selection.used
    for e in before.parts["place"].of_cell("r-naive"):
        for n in (n for n in (e.seen.effect, e.seen.gain) if n and n.question == "asas40-r-naive"):
            assert n.rows
            assert set(n.rows) <= known
            assert set(n.rows) <= set(used)
            assert n.sources
            assert set(n.sources) <= set(before.evidence.sources["source_id"])


def test_every_licence_and_statement_leads_to_its_row(before):
    for e in before.parts["place"].entries:
        for fact in (*(r.fact for r in e.seen.licence.rows), *(p.fact for p in e.seen.positions)):
            assert before.evidence.explain(fact)["table"] in ("regulatory", "guidelines")


def test_the_cell_without_a_question_in_the_run_is_silent(before):
    found = before.parts["place"]
    assert "not asked in this run" in found.problems["nr-after"]
    assert {e.place.id for e in found.of_cell("nr-after")} == {"silent"}


def test_a_silent_cell_has_no_number(before):
    for e in before.parts["place"].of_cell("nr-after"):
        assert (e.seen.effect, e.seen.gain, e.seen.probability) == (None, None, None)


def test_the_record_is_plain_and_complete(before):
    told = as_json(before.parts["place"], before)["place"]
    drug = next(e for e in told if (e["cell"], e["drug"]) == ("r-naive", "adalimumab"))
    assert drug["decided_by"] == "first-choice"
    assert {c["holds"] for f in drug["rules_fired"] if f["rule"] == "first-choice" for c in f["conditions"]} == {True}


def test_every_link_of_the_chapter_has_its_place(before):
    read = readings(before)
    places_of = set()
    links = set()

    def walk(x):
        if isinstance(x, Link):
            links.add(x.to)
        if hasattr(x, "id") and x.id:
            places_of.add(f"#{x.id}")
        for name in getattr(x, "__dataclass_fields__", ()):
            walk(getattr(x, name))
        if isinstance(x, tuple):
            for part in x:
                walk(part)

    for section in sections(before.parts["place"], before, read):
        walk(section)
    inside = {link for link in links if link.startswith("#place")}
    assert inside
    assert inside <= places_of


def test_the_table_of_a_cell_draws_no_number_that_is_not_there(before):
    record = [entry_record(e) for e in before.parts["place"].of_cell("r-naive") if e.seen.evidence == "none"]
    assert record
    assert not [n for r in record for n in r["numbers"] if n["question"] == "asas40-r-naive"]


def test_the_probability_of_a_gain_agrees_with_the_draws(before):
    e = places(before)["r-naive", "adalimumab"]
    answer = before.answer("asas40-r-naive")
    fit = answer.fit
    d = fit.d[:, fit.network.index("adalimumab")]
    odds = answer.baseline.risk / (1 - answer.baseline.risk) * np.exp(d)
    assert e.seen.probability.value == pytest.approx(fit.weights @ (odds / (1 + odds) - answer.baseline.risk > 0.1))
