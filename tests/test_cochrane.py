"""Cochrane reviews: both shapes give the same numbers, unused zeros are no data, a pooled result is the printed one."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import enthesis as en
from enthesis.cli.main import run
from enthesis.errors import DataError, EnthesisError, UsageError
from enthesis.evidence import Store
from enthesis.evidence.sources.cochrane import CELLS, known_measure, read_review, store_review
from small_reviews import DATA, FLEISS, ROWS, SETTINGS, WANTED_SETTINGS, package, revman, row, setting, table

BOTH = pytest.mark.parametrize("content", [package(), revman()], ids=["package", "RevMan 5"])


@BOTH
def test_both_shapes_give_the_same_trials(content):
    found = read_review(content, "x").analysis("1.1")
    told = [(r["study"], r["year"], *(r[c] for c in CELLS["dichotomous"])) for r in found.results]
    assert told == [(s, y, str(a), str(b), str(c), str(d)) for s, y, a, b, c, d in FLEISS]
    assert (found.kind, found.measure, found.treatment, found.comparator) == ("dichotomous", "OR", "Aspirin", "Placebo")


@BOTH
def test_the_pooled_odds_ratio_is_the_one_that_revman_prints(content):
    """Mantel-Haenszel, common effect: 0.8969 (0.8405 to 0.9570), as RevMan 5 prints it for these trials."""
    rows, _ = read_review(content, "x").table("1.1")
    network = en.from_table(rows, measure=en.OR, reference="Placebo")
    fit = en.fit(network, en.Model(heterogeneity=en.Common()), engine="mh")
    effect = en.relative_effects(fit, comparator="Placebo").set_index("treatment").loc["Aspirin"]
    printed = (0.8968655609130709, 0.8405144008917793, 0.9569947088336491)
    assert tuple(math.exp(effect[c]) for c in ("estimate", "lower", "upper")) == pytest.approx(printed, abs=1e-6)


@BOTH
def test_means_contrasts_and_observed_minus_expected_are_read(content):
    review = read_review(content, "x")
    mean = review.analysis("1.2").results[0]
    assert [mean[c] for c in CELLS["continuous"]] == ["-2.5", "2", "50", "-1", "2.2", "48"]
    assert review.table("1.3")[0] == [
        {"study": "Ex 2001", "treatment": "Aspirin", "comparator": "Placebo", "TE": "-0.25", "seTE": "0.1"}
    ]
    (peto,), notes = review.table("1.4")
    assert (float(peto["TE"]), float(peto["seTE"])) == (-0.5, pytest.approx(12**-0.5))
    assert any("does not name the groups" in note for note in notes)


@BOTH
def test_characteristics_bias_and_references_are_kept(content):
    review = read_review(content, "x")
    (line,) = review.characteristics
    assert (line["study"], line["item"], line["text"]) == ("CDP", "participants", "Men. After MI.")
    (judged,) = review.risk_of_bias
    assert (judged["study"], judged["domain"], judged["support"]) == (
        "CDP", "Random sequence generation", "By computer.",
    )  # fmt: skip
    assert review.references.records


def test_a_standard_deviation_of_zero_is_told_and_no_result():
    review = read_review(package(), "x")
    assert [r["study"] for r in review.analysis("1.2").results] == ["Ex 2001"]
    assert any("Ex 2002: a standard deviation of zero" in u.reason for u in review.unparsed)


def test_unused_zeros_are_not_read_as_data():
    results = read_review(package(), "x").analysis("1.1").results
    assert {name for r in results for name in r} & {"mean_1", "sd_1", "effect", "se", "o_e"} == set()


def test_a_study_in_two_subgroups_is_kept_apart_and_said():
    rows, notes = read_review(revman(), "x").table("1.2")
    assert {r["study"] for r in rows} == {"Ex 2001 [short]", "Ex 2001 [long]"}
    assert "counted twice" in notes[0]


def test_a_ratio_without_a_logarithm_is_told():
    assert any("has no logarithm" in u.reason for u in read_review(revman(), "x").unparsed)


def test_words_without_numbers_are_told():
    assert any("OTHER_OUTCOME" in u.reason for u in read_review(revman(), "x").unparsed)


def test_two_comparisons_make_one_network_with_their_shared_arm():
    rows, notes = read_review(package(), "x").table("1.1", "2.1")
    arms = [(r["treatment"], r["events"]) for r in rows if r["study"] == "PARIS"]
    assert sorted(arms) == [("Aspirin", "85"), ("Dipyridamole", "60"), ("Placebo", "52")]
    assert notes == []
    network = en.from_table(rows, measure=en.OR, reference="Placebo")
    assert (network.n_studies, network.n_treatments) == (7, 3)


def test_a_shared_arm_with_other_numbers_is_a_study_of_its_own():
    data = [*DATA[:-1], row("2.1", "PARIS", Experimental_cases=60, Experimental_N=800, Control_cases=26, Control_N=203)]
    rows, notes = read_review(package(data_rows_csv=table(ROWS, data)), "x").table("1.1", "2.1")
    assert {r["study"] for r in rows} >= {"PARIS", "PARIS [2.1]"}
    assert "other numbers" in notes[0]


def test_an_arm_beside_a_split_shared_arm_is_counted_once():
    data = [*DATA[:-1], row("2.1", "PARIS", Experimental_cases=60, Experimental_N=800, Control_cases=26, Control_N=203)]
    rows, _ = read_review(package(data_rows_csv=table(ROWS, data)), "x").table("1.1", "2.1")
    assert [r["study"] for r in rows if r["treatment"] == "Dipyridamole"] == ["PARIS [2.1]"]


def test_no_line_of_a_study_replaces_another():
    lines = [row("1.1", "PARIS", Subgroup="men", Experimental_cases=i, Experimental_N=50, Control_cases=2, Control_N=50)
             for i in range(4)]  # fmt: skip
    rows, _ = read_review(package(data_rows_csv=table(ROWS, lines)), "x").table("1.1")
    assert sorted(r["events"] for r in rows if r["treatment"] == "Aspirin") == ["0", "1", "2", "3"]


def test_groups_of_one_name_make_no_table():
    lines = [setting("1.1", "Dichotomous", "Odds Ratio", ("Aspirin", "Aspirin"))]
    review = read_review(package(overall_estimates_and_settings_csv=table(SETTINGS, lines)), "x")
    with pytest.raises(UsageError, match="calls both groups 'Aspirin'"):
        review.table("1.1")


def test_an_analysis_with_two_settings_is_read_once_and_told():
    lines = [*WANTED_SETTINGS, WANTED_SETTINGS[0]]
    review = read_review(package(overall_estimates_and_settings_csv=table(SETTINGS, lines)), "x")
    assert [a.id for a in review.analyses].count("1.1") == 1
    assert any("has settings already" in u.reason for u in review.unparsed)


@pytest.mark.parametrize("text", ["1_0", "١", "inf", "1e400", "0x1"])
def test_what_only_python_reads_as_a_number_is_told(text):
    line = row("1.1", "PARIS", Experimental_cases=text, Experimental_N=50, Control_cases=2, Control_N=50)
    review = read_review(package(data_rows_csv=table(ROWS, [line])), "x")
    assert not review.analysis("1.1").results
    assert any(f"{text!r} is not a number" in u.reason for u in review.unparsed)


def test_an_effect_beyond_numbers_is_told():
    line = row("1.4", "Ex 2003", **{"O-E": 1e300, "Variance": 1e-300})
    review = read_review(package(data_rows_csv=table(ROWS, [line])), "x")
    assert any("no number" in u.reason for u in review.unparsed)
    assert not review.analysis("1.4").results


def test_analyses_of_different_kinds_make_no_table():
    with pytest.raises(UsageError, match="are not of one kind"):
        read_review(package(), "x").table("1.1", "1.2")


def test_an_unknown_analysis_names_the_known_ones():
    with pytest.raises(UsageError, match=r"Known: 1\.1"):
        read_review(package(), "x").table("9.9")


@pytest.mark.parametrize(
    ("words", "measure"),
    [("Odds Ratio", "OR"), ("Peto Odds Ratio", "OR"), ("PETO_OR", "OR"), ("Std. Mean Difference", "SMD"),
     ("Mean Difference", "MD"), ("Hazard Ratio", "HR"), ("CUSTOM", "")],
)  # fmt: skip
def test_measures_are_known_by_both_vocabularies(words, measure):
    assert known_measure(words) == measure


def test_a_ratio_not_on_the_log_scale_leaves_the_measure_open():
    lines = [*WANTED_SETTINGS[:2], setting("1.3", "Contrast level", "Hazard Ratio", ("A", "B")), *WANTED_SETTINGS[3:]]
    review = read_review(package(overall_estimates_and_settings_csv=table(SETTINGS, lines)), "x")
    assert review.analysis("1.3").measure == ""


def test_rows_without_settings_are_told():
    review = read_review(package(overall_estimates_and_settings_csv=table(SETTINGS, WANTED_SETTINGS[:1])), "x")
    assert sum("has no settings" in u.reason for u in review.unparsed) == 5


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"hello", "neither a Cochrane data package"),
        (b"PK\x03\x04", "cannot be unpacked"),
        (package(data_rows_csv=b""), "is no Cochrane data package"),
        (package(data_rows_csv=b"", parameters_csv=b"a\n1\n"), "diagnostic tests"),
        (package()[:900], "cannot be unpacked"),
        (b"<x/>", "is not a file of RevMan 5"),
        (revman()[:-400], "cannot be read as XML"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><COCHRANE_REVIEW>&x;</COCHRANE_REVIEW>', "declares entities"),
        (package(data_rows_csv=b"a\xff,b\n1,2\n"), "is not UTF-8"),
    ],
)
def test_what_is_no_review_is_refused_in_a_sentence(content, what):
    with pytest.raises(DataError, match=what):
        read_review(content, "x")


def test_a_package_inside_a_package_is_opened():
    import io
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as outer:
        outer.writestr("CD000001-data.zip", package())
    assert len(read_review(stream.getvalue(), "x").analysis("1.1").results) == 7


@settings(max_examples=60, deadline=None)
@given(data=st.data(), whole=st.sampled_from([package(), revman()]))
def test_damaged_bytes_give_a_review_or_a_sentence(data, whole):
    raw = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        review = read_review(bytes(raw), "x")
    except EnthesisError:
        return
    assert all(math.isfinite(float(r[c])) for a in review.analyses for r in a.results for c in CELLS[a.kind])


@BOTH
def test_a_second_import_adds_nothing(content):
    review = read_review(content, "x")
    with Store.open(":memory:") as store:
        first = store_review(store, review, extractor="test")
        again = store_review(store, review, extractor="test")
        evidence = store.evidence()
        assert store.get_bytes(evidence.facts[0].document) == content
        assert len(evidence.table("cochrane/results")) == first["results"].stored
    assert first["results"].stored > 7
    assert all(added.stored == added.superseded == 0 for added in again.values())


@pytest.mark.parametrize(("command", "content"), [("cochrane", package()), ("revman", revman())])
def test_the_command_stores_the_review_and_writes_a_table_that_fit_reads(
    command, content, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r").write_bytes(content)
    words = ["import", command, "r", "--store", "s.sqlite", "--analysis", "1.1", "--out", "t.csv", "--json", "-"]
    with pytest.raises(SystemExit) as stop:
        run(words)
    told = json.loads(capsys.readouterr().out)
    assert stop.value.code == 3  # some results of the review are no data, which is told
    assert told["unparsed"]
    assert told["tables"]["results"]["stored"] > 7
    assert told["references"]["stored"] >= 1
    assert en.from_table("t.csv", measure=en.OR).n_studies == 7


def test_tables_of_revman_plots_are_read_by_their_headers():
    events = {"Study or Subgroup": "A", "Experimental Events": 4, "Experimental Total": 123, "Control Events": 11,
              "Control Total": 139}  # fmt: skip
    block = en.from_table([events]).blocks[0]
    assert (block.r.tolist(), block.n.tolist()) == ([11, 4], [139, 123])
    means = {"Study or Subgroup": "A", "Experimental Mean": 3, "Experimental SD": 2, "Experimental Total": 40,
             "Control Mean": 9, "Control SD": 3, "Control Total": 41}  # fmt: skip
    assert en.from_table([means]).blocks[0].y.tolist() == [9, 3]
    ratio = {"Study": "A", "log[Hazard Ratio]": -0.2, "SE": 0.1, "treat1": "x", "treat2": "y"}
    assert en.from_table([ratio]).measure is en.HR
