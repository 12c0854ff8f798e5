"""The evidence linter: every check fires on the fault it is for, keeps silent without it, and names the rows."""

import json

import pytest

from enthesis.cli import main
from enthesis.errors import UsageError
from enthesis.evidence import Store, bundled_evidence
from enthesis.evidence.lint import CHECKS, counts_that_fit, grim, lint
from enthesis.evidence.lint.cells import half_unit


@pytest.fixture
def command(capsys):
    """Run the program; gives its exit code, standard output and standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main.run([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return run


SOURCE = {"source_id": "s", "kind": "article"}
STUDY = {"study_id": "A", "design": "rct", "population": "r-axSpA", "n_randomised": "200", "source_id": "s"}
ARMS = ("drug", "placebo", "other")
COUNT = {"subgroup": "all", "outcome": "ASAS40", "week": "12", "measure": "binary", "events": "40", "n": "100",
         "percent": "40.0", "events_derived": "no", "estimator": "NRI"}  # fmt: skip
MEAN = {"subgroup": "all", "outcome": "dBASDAI", "week": "12", "measure": "continuous", "n": "100", "mean": "-2.1",
        "sd": "2.0", "estimator": "MMRM"}  # fmt: skip
RATE = {"subgroup": "all", "outcome": "HZ", "week": "52", "measure": "rate", "events": "10", "patient_years": "500",
        "rate_per_100py": "2.0", "rate_of": "events"}  # fmt: skip
EFFECT = {"subgroup": "all", "outcome": "ASAS40", "week": "12", "effect": "odds_ratio", "estimate": "2.67",
          "ci_low": "1.43", "ci_high": "4.98", "ci_level": "95"}  # fmt: skip


def arm(name, **changed):
    return ("arms", {"study_id": "A", "arm_id": name, "treatment": name, "n_randomised": "100", "source_id": "s",
                     "drug_class": "placebo" if name == "placebo" else "JAKi"} | changed)  # fmt: skip


def result(base, name="drug", **changed):
    keys = {"study_id": "A", "arm_id": name, "source_id": "s", "locator": "Table 2", "check": "one-source",
            "preferred": "yes"}  # fmt: skip
    return ("outcomes", keys | base | changed)


def effect(name="drug", comparator="placebo", **changed):
    keys = {"study_id": "A", "arm_id": name, "comparator_arm_id": comparator, "source_id": "s", "locator": "Table 3",
            "check": "one-source"}  # fmt: skip
    return ("contrasts", keys | EFFECT | changed)


def stored(*rows, study=STUDY):
    store = Store.open(":memory:")
    for name, cells in (("sources", SOURCE), ("studies", study), arm("drug"), arm("placebo"), *rows):
        store.append(name, cells, extractor="test")
    return store


def fired(check, *rows, study=STUDY):
    with stored(*rows, study=study) as store:
        return [f.check for f in lint(store.evidence(), [check])]


#: check, kind of finding, rows without the fault, rows with it
FAULTS = [
    ("percentages", "percent-count", [result(COUNT)], [result(COUNT, events="41")]),
    ("percentages", "percent-impossible", [result(COUNT, events="", percent="40.0")],
     [result(COUNT, events="", percent="40.5")]),
    ("percentages", "count-not-unique", [result(COUNT, events_derived="yes")],
     [result(COUNT, n="300", percent="40", events="120", events_derived="yes")]),
    ("nested outcomes", "nested", [result(COUNT), result(COUNT, outcome="ASAS20", events="55", percent="55.0")],
     [result(COUNT), result(COUNT, outcome="ASAS20", events="35", percent="35.0")]),
    ("subgroups", "subgroups",
     [result(COUNT)] + [result(COUNT, subgroup=s, events="20", n="50") for s in ("naive", "inadequate-response")],
     [result(COUNT)] + [result(COUNT, subgroup=s, events="30", n="50") for s in ("naive", "inadequate-response")]),
    ("rates", "rate", [result(RATE)], [result(RATE, rate_per_100py="2.3")]),
    ("rates", "rate-interval", [result(RATE, rate_ci_low="0.96", rate_ci_high="3.7")],
     [result(RATE, rate_ci_low="0.96", rate_ci_high="7.3")]),
    ("rates", "outside-interval", [result(RATE, rate_ci_low="0.96", rate_ci_high="3.7")],
     [result(RATE, rate_ci_low="2.96", rate_ci_high="3.7")]),
    ("standard errors", "sd-and-se", [result(MEAN, se="0.20")], [result(MEAN, sd="0.20", se="2.0")]),
    ("intervals of means", "interval-and-se", [result(MEAN, sd="", se="0.2", ci_low="-2.5", ci_high="-1.7")],
     [result(MEAN, sd="", se="0.2", ci_low="-4.1", ci_high="-0.1")]),
    ("intervals of means", "outside-interval", [result(MEAN, ci_low="-2.5", ci_high="-1.7")],
     [result(MEAN, ci_low="1.7", ci_high="2.5")]),
    ("intervals of means", "interval-not-centred", [result(MEAN, ci_low="-2.5", ci_high="-1.7")],
     [result(MEAN, ci_low="-5.5", ci_high="-1.7")]),
    ("scales", "outside-scale", [result(MEAN)], [result(MEAN, mean="-21")]),
    ("scales", "outside-scale", [arm("other", basdai_mean="6.3")], [arm("other", basdai_mean="63")]),
    ("intervals of effects", "outside-interval", [effect()], [effect(estimate="6.27")]),
    ("intervals of effects", "interval-not-centred", [effect()], [effect(ci_high="49.8")]),
    ("effects recomputed", "other-direction",
     [result(COUNT), result(COUNT, "placebo", events="20", percent="20.0"), effect()],
     [result(COUNT), result(COUNT, "placebo", events="20", percent="20.0"),
      effect(estimate="0.375", ci_low="0.20", ci_high="0.70")]),
    ("effects recomputed", "recomputed",
     [result(COUNT), result(COUNT, "placebo", events="20", percent="20.0"), effect()],
     [result(COUNT), result(COUNT, "placebo", events="35", percent="35.0"), effect()]),
    ("multi-arm effects", "does-not-close",
     [arm("other"), effect(estimate="2"), effect("other", "drug", estimate="2"), effect("other", estimate="4")],
     [arm("other"), effect(estimate="2"), effect("other", "drug", estimate="2"), effect("other", estimate="1")]),
    ("multi-arm effects", "multi-arm-variance",
     [arm("other")] + [effect(*p, effect="difference", estimate="0", ci_low="", ci_high="", se="1")
                       for p in (("drug", "placebo"), ("other", "drug"), ("other", "placebo"))],
     [arm("other")] + [effect(*p, effect="difference", estimate="0", ci_low="", ci_high="", se=se)
                       for p, se in ((("drug", "placebo"), "1"), (("other", "drug"), "1"),
                                     (("other", "placebo"), "2"))]),
    ("patients", "arms-and-randomised", [], [arm("other", n_randomised="30")]),
    ("patients", "more-than-randomised", [result(COUNT)], [result(COUNT, n="120", percent="33.3")]),
    ("names", "unknown-name", [result(COUNT)], [result(COUNT, "drugg")]),
    ("names", "curation-idle", [result(COUNT), ("curation", {"study_id": "A", "use": "primary", "reason": "r"})],
     [result(COUNT), ("curation", {"study_id": "B", "use": "no", "reason": "r"})]),
    ("preference", "preferred-twice", [result(COUNT), result(COUNT, preferred="no", events="41", percent="41.0")],
     [result(COUNT), result(COUNT, events="41", percent="41.0", locator="Table 9")]),
    ("preference", "estimators-mixed", [result(COUNT), result(COUNT, "placebo")],
     [result(COUNT), result(COUNT, "placebo", estimator="observed")]),
    ("same patients", "same-patients",
     [("studies", STUDY | {"study_id": "B", "design": "extension", "parent_study": "A"}), result(COUNT),
      result(COUNT, study_id="B")],
     [("studies", STUDY | {"study_id": f"B{i}", "design": "extension", "parent_study": "A"}) for i in (1, 2)]
     + [result(COUNT, study_id=f"B{i}") for i in (1, 2)]),
    ("copies", "copied", [result(COUNT), result(COUNT, "placebo")],
     [result(COUNT, a, outcome=o) for a in ("drug", "placebo") for o in ("ASAS40", "BASDAI50")]),
    ("repeated effects", "repeated", [effect(), effect(outcome="ASAS20")], [effect(), effect(locator="text")]),
]  # fmt: skip


@pytest.mark.parametrize(("check", "kind", "sound", "faulty"), FAULTS, ids=[f"{c}: {k}" for c, k, _, _ in FAULTS])
def test_a_check_fires_on_its_fault_and_only_then(check, kind, sound, faulty):
    assert fired(check, *sound) == []
    assert kind in fired(check, *faulty)


@pytest.mark.parametrize(("check", "kind", "column", "value"), [
    ("swapped spread", "sd-looks-like-se", "sd", "0.2"), ("swapped spread", "se-looks-like-sd", "se", "2.0"),
    ("units", "unusual-unit", "sd", "0.2"),
])  # fmt: skip
def test_a_spread_unlike_that_of_other_studies_is_seen(check, kind, column, value):
    studies = [("studies", STUDY | {"study_id": f"S{i}"}) for i in range(6)]
    others = [result(MEAN, study_id=f"S{i}", sd=f"{1.8 + 0.1 * i:.1f}") for i in range(6)]
    odd = result(MEAN, sd="", **{column: value}) if column == "se" else result(MEAN, sd=value)
    assert fired(check, *studies, *others, result(MEAN)) == []
    assert kind in fired(check, *studies, *others, odd)


def test_every_check_has_a_fault_here():
    assert {check for check, *_ in FAULTS} | {"swapped spread", "units"} == set(CHECKS)


def test_a_check_that_is_not_known_is_refused():
    with pytest.raises(UsageError, match="check 'percentage' is not known"):
        lint(bundled_evidence(), ["percentage"])


def test_everything_found_in_the_bundled_evidence_is_settled_with_a_reason_and_a_name():
    found = lint(bundled_evidence())
    assert [f for f in found if not f.settled] == []
    assert all("enthesis editors" in f.settled for f in found)


def test_no_explanation_in_the_bundled_evidence_speaks_of_a_finding_that_is_gone():
    evidence = bundled_evidence()
    said = evidence.overrides
    assert set(said[said["item"] == "lint"]["subject"]) == {f.id for f in lint(evidence)}


def test_a_settled_finding_opens_again_when_a_cell_changes():
    with stored(result(COUNT, events="41")) as store:
        (found,) = lint(store.evidence(), ["percentages"])
        line = {"subject": found.id, "item": "lint", "value": "explained"}
        store.judge("overrides", line, author="A. Reviewer", reason="a misprint")
        (settled,) = lint(store.evidence(), ["percentages"])
        assert settled.settled == "a misprint (A. Reviewer)"
        fact = next(f for f in store.evidence().facts if f.table == "outcomes")
        store.supersede(fact.id, fact.cells() | {"events": "42"}, extractor="test", reason="correction")
        (again,) = lint(store.evidence(), ["percentages"])
        assert again.settled == ""
        assert again.rows == found.rows


def test_pooled_arms_are_not_counted_again():
    pooled = arm("both", n_randomised="200")
    assert fired("patients", pooled) == []


@pytest.mark.parametrize(("percent", "n", "counts"), [
    ("11.4", 158, [18]), ("47.8", 159, [76]), ("47.6", 159, []), ("0", 50, [0]), ("100", 50, [50]),
    ("50", 300, [149, 150, 151]),
])  # fmt: skip
def test_counts_that_print_as_a_percentage(percent, n, counts):
    assert counts_that_fit(percent, n) == counts


def test_grim_knows_the_published_examples():
    # Brown and Heathers 2017: a mean of 5.19 from 28 whole numbers is impossible, 5.18 and 5.21 are not
    assert [grim(mean, 28) for mean in ("5.19", "5.18", "5.21")] == [False, True, True]


def test_half_a_unit_of_the_last_digit():
    assert [half_unit(t) for t in ("46.4", "12", "-0.18", "1.5e2")] == pytest.approx([0.05, 0.5, 0.005, 5.0])


def test_the_command_shows_open_findings_and_ends_with_3(tmp_path, command):
    place = str(tmp_path / "s.sqlite")
    with Store.open(place) as store, stored(result(COUNT, events="41")) as made:
        for fact in made.evidence().facts:
            store.append(fact.table, fact.cells(), extractor="test")
    code, out, _ = command("lint", "check", "--store", place, "--json")
    told = json.loads(out)
    assert (code, told["open"], told["findings"][0]["check"]) == (3, 1, "percent-count")
    id = told["findings"][0]["id"]
    assert command("lint", "settle", id, "--reason", "a misprint", "--author", "A", "--store", place)[0] == 0
    code, out, _ = command("lint", "check", "--store", place, "--all")
    assert code == 0
    assert "Settled: a misprint (A)" in out


def test_an_unknown_finding_cannot_be_settled(tmp_path, command):
    place = str(tmp_path / "s.sqlite")
    Store.open(place).close()
    code, _, err = command("lint", "settle", "F-0", "--reason", "r", "--author", "A", "--store", place)
    assert code == 2
    assert "finding 'F-0' is not known" in err


def test_the_bundled_folder_is_clean_on_the_command_line(command):
    from enthesis.evidence import bundled_folder

    code, out, _ = command("lint", "check", str(bundled_folder()))
    assert code == 0
    assert out.startswith("0 open")
