"""A user's table in any known layout becomes the same network, and says what was read as what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enthesis.errors import DataError, UsageError
from enthesis.network.blocks import ArmCounts, ArmMeans, ArmRates, Contrasts
from enthesis.network.reading import read_table
from enthesis.network.tables import from_table

TABLES = Path(__file__).parent / "tables"


def rows(*values: tuple, names: str) -> list[dict]:
    """Records of one study under these column names."""
    return [{"study": "A", **dict(zip(names.split(), value, strict=True))} for value in values]


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (rows(("x", 3, 90.5), ("p", 5, 88.0), names="treatment responders exposure"), ArmRates),
        (rows(("x", 3, 90.5), ("p", 5, 88.0), names="trt r E"), ArmRates),
        (rows(("x", 3, 90.5), ("p", 5, 88.0), names="treat event time"), ArmRates),
        (rows(("x", 3, 90.5, "p", 5, 88.0), names="treat1 event1 time1 treat2 event2 time2"), ArmRates),
        (rows(("x", 1.0, 2.0, 9, "p", 2.0, 2.5, 8), names="T.1 Mean.1 SD.1 N.1 T.2 Mean.2 SD.2 N.2"), ArmMeans),
        (rows(("x", 1.0, 0.5, "p", 2.0, 0.6), names="t[,1] y[,1] se[,1] t[,2] y[,2] se[,2]"), ArmMeans),
        (rows((1.0, 2.0, 9, 2.0, 2.5, 8), names="m1i sd1i n1i m2i sd2i n2i"), ArmMeans),
        (rows((9, 1.0, 2.0, 8, 2.0, 2.5), names="n.e mean.e sd.e n.c mean.c sd.c"), ArmMeans),
        (rows(("x", 1, 0, 20), ("p", 2, 0, 19), names="t r rob n"), ArmCounts),
        (rows((0.3, 0.04), names="yi vi"), Contrasts),
    ],
)
def test_the_kind_of_numbers_is_recognised_by_the_columns(table, kind):
    network = from_table(table)
    assert [type(block) for block in network.blocks] == [kind]
    assert network.n_arms == 2


@pytest.fixture(scope="module")
def smoking() -> pd.DataFrame:
    """Hasselblad 1998: 24 studies, 50 arms, 4 treatments."""
    frame = pd.read_csv(TABLES / "hasselblad1998.csv")
    frame = frame.rename(columns={"trt": "treatment", "xi": "events", "ni": "n"})
    return frame[["study", "treatment", "events", "n"]]


@pytest.fixture(scope="module")
def hba1c() -> pd.DataFrame:
    """Senn 2013: 26 studies with mean, SD and n."""
    frame = pd.read_csv(TABLES / "senn2013.csv").rename(columns={"mi": "mean", "sdi": "sd", "ni": "n"})
    return frame[["study", "treatment", "mean", "sd", "n"]]


def across(frame: pd.DataFrame, names: dict[str, str], pattern: str = "{}.{}") -> pd.DataFrame:
    """One row per study: arm k's value of a column under pattern(name, k)."""
    records = []
    for study, arms in frame.groupby("study", sort=False):
        record = {"study": study}
        for k, arm in enumerate(arms.to_dict("records"), 1):
            record |= {pattern.format(new, k): arm[old] for old, new in names.items()}
        records.append(record)
    return pd.DataFrame(records)


def per_comparison(frame: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """One row per comparison, so that an arm of a multi-arm study stands in several rows."""
    records = []
    for study, arms in frame.groupby("study", sort=False):
        rows = arms.to_dict("records")
        for i, a in enumerate(rows):
            for b in rows[i + 1 :]:
                records.append({"id": study} | {f"{new}{k}": arm[old] for k, arm in ((1, a), (2, b))
                                                for old, new in names.items()})  # fmt: skip
    return pd.DataFrame(records)


COUNTS_LONG = {
    "gemtc": {"events": "responders", "n": "sampleSize"},
    "multinma": {"study": "studyn", "treatment": "trtc", "events": "r", "n": "n"},
    "MetaInsight": {"study": "Study", "treatment": "T", "events": "R", "n": "N"},
    "CINeMA": {"study": "study", "treatment": "t", "events": "r", "n": "n"},
    "netmeta": {"study": "studlab", "treatment": "treat", "events": "event", "n": "n"},
    "metafor": {"study": "trial", "treatment": "trt", "events": "xi", "n": "ni"},
    "upper case": {"study": "STUDY_ID", "treatment": "TREATMENT", "events": "EVENTS", "n": "TOTAL"},
}


@pytest.mark.parametrize("package", COUNTS_LONG)
def test_counts_in_one_row_per_arm_are_the_same_network_under_the_names_of_each_package(package, smoking):
    names = COUNTS_LONG[package]
    asked = {"study": "studyn", "treatment": "trtc"} if package == "multinma" else None
    network = from_table(smoking.rename(columns=names), columns=asked)
    assert network.content_hash == from_table(smoking).content_hash


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ({"treatment": "T", "events": "R", "n": "N"}, "{}.{}"),
        ({"treatment": "treat", "events": "event", "n": "n"}, "{}{}"),
        ({"treatment": "t", "events": "r", "n": "n"}, "{}[,{}]"),
        ({"treatment": "Treatment", "events": "Events", "n": "Total"}, "{} {}"),
    ],
    ids=["MetaInsight", "netmeta", "BUGS", "words"],
)
def test_counts_with_arms_across_are_the_same_network_as_one_row_per_arm(names, pattern, smoking):
    assert from_table(across(smoking, names, pattern)).content_hash == from_table(smoking).content_hash


def test_arms_repeated_in_rows_of_comparisons_are_taken_once(smoking):
    wide = per_comparison(smoking, {"treatment": "t", "events": "r", "n": "n"})
    assert from_table(wide).content_hash == from_table(smoking).content_hash


def test_a_bugs_listing_separated_by_blanks_is_read(tmp_path):
    path = tmp_path / "listing.txt"
    path.write_text("study t[,1] t[,2] t[,3] r[,1] r[,2] r[,3] n[,1] n[,2] n[,3] na[]\n"
                    "1 1 2 3 9 23 10 140 140 138 3\n2 1 2 NA 11 12 NA 78 85 NA 2\nEND\n")  # fmt: skip
    network = from_table(path)
    assert (network.n_studies, network.n_arms, network.treatment_names) == (2, 5, ("1", "2", "3"))


MEANS = {
    "gemtc": {"mean": "mean", "sd": "std.dev", "n": "sampleSize"},
    "multinma": {"mean": "y", "sd": "sd", "n": "n"},
    "MetaInsight": {"study": "Study", "treatment": "T", "mean": "Mean", "sd": "SD", "n": "N"},
    "metafor": {"mean": "mi", "sd": "sdi", "n": "ni"},
}


@pytest.mark.parametrize("package", MEANS)
def test_means_are_the_same_network_under_the_names_of_each_package(package, hba1c):
    network = from_table(hba1c.rename(columns=MEANS[package]))
    assert isinstance(network.blocks[0], ArmMeans)
    assert network.content_hash == from_table(hba1c).content_hash


def test_the_standard_error_of_a_mean_is_sd_over_root_n(hba1c):
    block = from_table(hba1c).blocks[0]
    assert np.allclose(block.se, block.sd / np.sqrt(block.n), rtol=1e-14)


@pytest.mark.parametrize("se", ["se", "std.err", "Std_Err"])
def test_means_with_standard_errors_need_neither_sd_nor_n(se):
    rows = [{"study": 1, "treatment": t, "y": y, se: 0.5} for t, y in (("A", 1.0), ("B", 2.0))]
    block = from_table(rows).blocks[0]
    assert (block.se.tolist(), np.isnan(block.sd).all()) == ([0.5, 0.5], True)


def test_the_sd_follows_from_se_and_n_when_standardised_differences_are_asked_for():
    rows = [{"study": 1, "treatment": t, "y": y, "se": 0.5, "n": 16} for t, y in (("A", 1.0), ("B", 2.0))]
    assert from_table(rows, measure="SMD").blocks[0].sd.tolist() == [2.0, 2.0]


def test_three_arms_across_with_means_are_read_from_the_published_table():
    network = from_table(TABLES / "stowe2010.csv")
    assert (network.n_studies, network.n_arms, network.n_treatments, network.reference) == (29, 59, 4, "Placebo")


def test_two_unnamed_arms_with_rates_are_treatment_and_control():
    network = from_table(TABLES / "nielweise2008.csv")
    block = network.blocks[0]
    assert isinstance(block, ArmRates)
    assert network.treatment_names == ("control", "treatment")
    assert (block.r[:2].tolist(), block.E[:2].tolist()) == ([11, 7], [1988, 1344])


@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        (("ai", "n1i", "ci", "n2i"), (4, 123, 11, 139)),
        (("tpos", "tneg", "cpos", "cneg"), (4, 119, 11, 128)),
        (("ai", "bi", "ci", "di"), (4, 119, 11, 128)),
        (("xt", "nt", "xc", "nc"), (4, 123, 11, 139)),
        (("event.e", "n.e", "event.c", "n.c"), (4, 123, 11, 139)),
        (("EVENTS_1", "TOTAL_1", "EVENTS_2", "TOTAL_2"), (4, 123, 11, 139)),
        (("Experimental cases", "Experimental N", "Control cases", "Control N"), (4, 123, 11, 139)),
    ],
)
def test_a_two_by_two_table_is_read_under_each_set_of_names(columns, cells):
    """Aronson 1948 in Colditz GA et al., JAMA 1994;271:698-702."""
    block = from_table([{"study": "Aronson", **dict(zip(columns, cells, strict=True))}]).blocks[0]
    assert (block.r.tolist(), block.n.tolist()) == ([11, 4], [139, 123])


def test_contrasts_of_all_pairs_are_read_from_the_published_table():
    network = from_table(TABLES / "linde2016.csv")
    assert isinstance(network.blocks[0], Contrasts)
    assert (network.measure.name, network.n_studies, network.n_treatments) == ("OR", 93, 22)


def test_a_contrast_is_the_first_treatment_minus_the_second():
    block = from_table([{"studlab": "A", "treat1": "x", "treat2": "p", "TE": 0.4, "seTE": 0.2}]).blocks[0]
    assert (block.treatment[0], block.comparator[0], block.y[0]) == (1, 0, 0.4)


CONTRAST = {"study": "A", "treat1": "x", "treat2": "p"}


@pytest.mark.parametrize(
    "row",
    [
        {"study": "A", "t1": "x", "t2": "p", "effect": np.log(2), "se": 0.2},
        {"study": "A", "treatment": "x", "comparator": "p", "y": np.log(2), "se": 0.2},
        {"study": "A", "treatment": "x", "control": "p", "logOR": np.log(2), "selogOR": 0.2},
        CONTRAST | {"yi": np.log(2), "vi": 0.04},
        CONTRAST | {"TE": np.log(2), "lower": np.log(2) - 0.2 * 1.959963984540054,
                    "upper": np.log(2) + 0.2 * 1.959963984540054},
        CONTRAST | {"OR": 2, "lower": 2 * np.exp(-0.2 * 1.959963984540054),
                    "upper": 2 * np.exp(0.2 * 1.959963984540054)},
    ],
    ids=["CINeMA", "comparator", "logOR", "variance", "interval", "ratio with interval"],
)  # fmt: skip
def test_a_contrast_is_the_same_in_each_way_of_writing_it(row):
    block = from_table([row], measure="OR").blocks[0]
    assert (block.y[0], block.se[0]) == (pytest.approx(np.log(2), rel=1e-14), pytest.approx(0.2, rel=1e-12))


def test_the_ledger_says_when_a_standard_error_was_rebuilt_from_an_interval():
    network = from_table([CONTRAST | {"HR": 0.7, "lower": 0.5, "upper": 0.98}])
    assert network.measure.name == "HR"
    assert "standard error from interval" in {e.rule for e in network.ledger if e.action == "changed"}


BASELINE = [
    {"study": "1", "treatment": "A", "diff": None, "std.err": 0.50},
    {"study": "1", "treatment": "C", "diff": -0.31, "std.err": 0.67},
    {"study": "3", "treatment": "A", "diff": None, "std.err": 0.33},
    {"study": "3", "treatment": "B", "diff": -1.2, "std.err": 0.51},
    {"study": "3", "treatment": "D", "diff": -1.4, "std.err": 0.43},
]


def test_the_standard_error_of_a_baseline_row_is_that_of_the_comparators_own_arm():
    block = from_table(BASELINE).blocks[0]
    assert block.comparator.tolist() == [0, 0, 0]
    assert np.array_equal(block.se_comparator, [np.nan, 0.33, 0.33], equal_nan=True)


def test_rows_with_one_empty_y_per_study_are_contrasts_and_not_means():
    rows = [{"study": r["study"], "trt": r["treatment"], "y": r["diff"], "se": r["std.err"]} for r in BASELINE]
    assert from_table(rows).content_hash == from_table(BASELINE).content_hash


def test_the_agent_and_its_dose_are_a_treatment_and_dose_zero_is_placebo():
    rows = [{"studyID": 1, "agent": a, "dose": d, "r": 1, "n": 9} for a, d in (("x", 0), ("x", 2.5), ("y", 10))]
    assert from_table(rows).treatment_names == ("placebo", "x 2.5", "y 10")


BOTH = [
    {"study": "A", "treatment": t, "r": r, "n": n, "exposure": e}
    for t, r, n, e in (("x", 4, 10, 9.5), ("p", 6, 11, 8.0))
]


@pytest.mark.parametrize(
    ("measure", "kind"), [(None, ArmCounts), ("OR", ArmCounts), ("RD", ArmCounts), ("IRR", ArmRates)]
)
def test_the_measure_chooses_between_counts_and_rates(measure, kind):
    assert isinstance(from_table(BOTH, measure=measure).blocks[0], kind)


def test_other_layouts_that_fit_are_named_in_the_ledger():
    assert any(e.rule == "several layouts fit" and "rates" in e.reason for e in from_table(BOTH).ledger)


NETMETA = [
    {"studlab": "A", "treat1": "x", "treat2": "p", "event1": 4, "n1": 10, "event2": 6, "n2": 11, "TE": 9.0,
     "seTE": 1.0},
    {"studlab": "B", "treat1": "x", "treat2": "p", "event1": None, "n1": None, "event2": None, "n2": None, "TE": 0.3,
     "seTE": 0.4},
]  # fmt: skip


def test_arms_are_preferred_to_contrasts_and_studies_without_arms_keep_their_contrasts():
    arms, contrasts = from_table(NETMETA).blocks
    assert (arms.r.tolist(), arms.study.tolist()) == ([6, 4], [0, 0])
    assert (contrasts.y.tolist(), contrasts.study.tolist()) == ([0.3], [1])


def test_contrasts_are_read_when_the_measure_cannot_come_from_the_arms():
    network = from_table(NETMETA, measure="HR")
    assert [type(b) for b in network.blocks] == [Contrasts]
    assert network.blocks[0].y.tolist() == [9.0, 0.3]


def test_a_user_can_name_the_columns_of_an_outcome():
    rows = [{"study": 1, "treatment": t, "n": 10, "resp": 4, "remi": 2} for t in "AB"]
    assert from_table(rows, columns={"events": "remi"}).blocks[0].r.tolist() == [2, 2]
    assert from_table(rows, events="resp").blocks[0].r.tolist() == [4, 4]


def test_a_name_without_its_number_stands_for_all_arms():
    row = {
        "id": 1,
        "treatment1": "A",
        "treatment2": "B",
        "n1": 9,
        "n2": 8,
        "resp1": 3,
        "resp2": 4,
        "remi1": 1,
        "remi2": 2,
    }
    assert from_table([row], events="remi").blocks[0].r.tolist() == [1, 2]


def test_named_columns_choose_the_layout_that_uses_them():
    rows = [{"study": 1, "treatment": t, "y": y, "se": 0.5, "diff": d, "se_diff": s}
            for t, y, d, s in (("A", 1.0, None, 0.5), ("B", 2.0, 1.0, 0.7))]  # fmt: skip
    assert isinstance(from_table(rows).blocks[0], ArmMeans)
    block = from_table(rows, columns={"effect": "diff", "se": "se_diff"}).blocks[0]
    assert (block.y.tolist(), block.se.tolist()) == ([1.0], [0.7])


def test_an_unknown_column_is_refused_with_the_nearest_name(smoking):
    with pytest.raises(UsageError, match="Did you mean 'events'"):
        from_table(smoking, events="event_s")


def test_an_unknown_role_is_refused(smoking):
    with pytest.raises(UsageError, match="role of a column 'evnts' is not known"):
        from_table(smoking, columns={"evnts": "events"})


def test_the_mapping_is_echoed_in_the_network_and_the_ledger(smoking):
    network = from_table(smoking.assign(remark=[f"remark {i}" for i in range(len(smoking))], year=1990))
    assert network.mapping["events"] == "events"
    assert network.mapping["layout"] == "arm per row (counts)"
    note = next(e for e in network.ledger if e.rule == "columns")
    assert "n = n" in note.reason
    assert "Not used: remark" in note.reason


def test_the_reference_is_the_one_treatment_called_like_a_comparator(hba1c):
    assert from_table(hba1c).reference == "placebo"


def test_a_usual_name_comes_before_the_number_of_studies():
    designs = (("1", ("a", "b")), ("2", ("a", "c")), ("3", ("a", "Placebo/Usual care")))
    assert from_table([{"study": s, "treatment": t, "r": 1, "n": 9} for s, ts in designs for t in ts]).reference == (
        "Placebo/Usual care"
    )


def test_without_a_usual_name_the_reference_is_the_treatment_in_most_studies():
    rows = [
        {"study": s, "treatment": t, "r": 1, "n": 9} for s, ts in (("1", "ab"), ("2", "bc"), ("3", "bd")) for t in ts
    ]
    network = from_table(rows)
    assert network.reference == "b"
    assert any(e.rule == "reference" and "3 of 3" in e.reason for e in network.ledger)


def test_a_reference_may_be_written_in_any_case(hba1c):
    assert from_table(hba1c, reference="METFORMIN").reference == "metformin"


def test_an_unknown_reference_is_refused_with_the_nearest_name(hba1c):
    with pytest.raises(UsageError, match="Did you mean 'placebo'"):
        from_table(hba1c, reference="placbo")


def test_studies_are_in_order_of_the_numbers_in_their_names():
    rows = [{"study": f"S{i}", "treatment": t, "r": 1, "n": 9} for i in (10, 9, 2) for t in "AB"]
    assert from_table(rows).studies == ("S2", "S9", "S10")


def test_each_arm_knows_the_row_it_came_from(tmp_path, smoking):
    path = tmp_path / "smoking.csv"
    smoking.to_csv(path, index=False)
    network = from_table(path)
    arms = network.arms_table()
    first = smoking.iloc[0]
    at = arms[(arms.study == str(first.study)) & (arms.treatment == first.treatment)]
    assert at.row.tolist() == ["smoking.csv:row 2"]


def test_groups_of_different_size_on_one_treatment_are_added_up_with_an_entry():
    rows = [
        {"study": "A", "treatment": t, "r": r, "exposure": e}
        for t, r, e in (("p", 1, 43.6), ("x", 5, 41.3), ("x", 3, 38.0))
    ]
    network = from_table(rows)
    assert network.blocks[0].r.tolist() == [1, 8]
    assert network.blocks[0].E[1] == pytest.approx(79.3)
    assert any(e.action == "changed" and e.rows == ("table:row 3", "table:row 4") for e in network.ledger)


def test_studies_of_one_name_in_a_table_of_two_unnamed_arms_are_told_apart_by_year():
    rows = [{"study": "Shechter", "year": y, "ai": 1, "n1i": 50, "ci": c, "n2i": 50} for y, c in ((1990, 9), (1995, 6))]
    assert from_table(rows).studies == ("Shechter 1990", "Shechter 1995")


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_frames_of_other_libraries_are_read(library, smoking):
    module = pytest.importorskip(library)
    columns = smoking.to_dict("list")
    frame = module.DataFrame(columns) if library == "polars" else module.table(columns)
    assert from_table(frame).content_hash == from_table(smoking).content_hash


def test_a_dictionary_of_columns_and_a_list_of_records_are_read(smoking):
    expected = from_table(smoking).content_hash
    assert from_table(smoking.to_dict("list")).content_hash == expected
    assert from_table(smoking.to_dict("records")).content_hash == expected


def test_whole_numbers_that_pandas_made_floats_name_the_same_study():
    frame = pd.DataFrame({"study": [1, 1.0, None], "treatment": ["A", "B", None], "r": [1, 2, None], "n": [5, 6, None]})
    assert from_table(frame).studies == ("1",)


def test_a_network_in_parts_is_returned_as_it_is():
    rows = [{"study": s, "treatment": t, "r": 1, "n": 9} for s, t in (("1", "A"), ("1", "B"), ("2", "C"), ("2", "D"))]
    assert "NOT connected" in str(from_table(rows))


def test_double_zero_studies_stay():
    rows = [{"study": 1, "treatment": t, "r": 0, "n": 9} for t in "AB"]
    assert from_table(rows).blocks[0].r.tolist() == [0, 0]


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(50)), upper=st.booleans())
def test_the_order_of_rows_and_the_case_of_headers_change_nothing(order, upper):
    frame = pd.read_csv(TABLES / "hasselblad1998.csv")[["study", "trt", "xi", "ni"]]
    shuffled = frame.iloc[list(order)].rename(columns=str.upper if upper else str.lower)
    assert from_table(shuffled).content_hash == from_table(frame).content_hash


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_contrasts_changes_nothing(seed):
    frame = pd.read_csv(TABLES / "linde2016.csv")
    assert from_table(frame.sample(frac=1, random_state=seed)).content_hash == from_table(frame).content_hash


@settings(max_examples=40, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60), st.integers(0, 40), st.integers(0, 60)),
                   min_size=1, max_size=8),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
def test_counts_survive_every_delimiter_and_encoding(tmp_path_factory, cells, delimiter, encoding, newline):
    lines = [("study", "treatment", "events", "n")]
    for i, (r1, more1, r2, more2) in enumerate(cells):
        lines += [(f"é{i}", "ä", r1, r1 + more1 + 1), (f"é{i}", "b", r2, r2 + more2 + 1)]
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(newline.join(delimiter.join(map(str, line)) for line in lines).encode(encoding))
    block = from_table(path).blocks[0]
    assert sorted(block.r.tolist()) == sorted(float(line[2]) for line in lines[1:])
    assert sorted(block.n.tolist()) == sorted(float(line[3]) for line in lines[1:])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=2))
def test_numbers_written_by_a_frame_are_read_to_the_last_digit(values):
    rows = [{"study": 1, "treatment": t, "mean": v, "se": 1.5} for t, v in zip("AB", values, strict=True)]
    assert from_table(rows).blocks[0].y.tolist() == values


@settings(max_examples=80, deadline=None)
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_a_table_or_a_sentence(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(raw)
    with pytest.raises(DataError):
        from_table(path)


@settings(max_examples=100, deadline=None)
@given(cell=st.text(max_size=12), column=st.sampled_from(["study", "treatment", "events", "n"]))
def test_any_cell_is_read_or_refused_by_name(cell, column):
    rows = [{"study": "1", "treatment": t, "events": "1", "n": "9"} for t in "AB"]
    rows[1][column] = cell
    try:
        network = from_table(rows)
    except DataError as error:
        assert error.row == 3 or "nothing to compare" in str(error)  # noqa: PT017
    else:
        assert all(np.isfinite(getattr(b, name)).all() for b in network.blocks for name in ("r", "n"))


def test_a_hundred_thousand_studies_are_read_in_seconds(tmp_path):
    import time

    rng = np.random.default_rng(1)
    size = 100_000
    frame = pd.DataFrame({"studlab": [f"s{i}" for i in range(size)], "treat1": rng.integers(0, 50, size),
                          "treat2": rng.integers(50, 100, size), "TE": rng.normal(size=size), "seTE": 0.2})  # fmt: skip
    path = tmp_path / "large.csv"
    frame.to_csv(path, index=False)
    began = time.process_time()
    assert from_table(path).n_studies == size
    assert time.process_time() - began < 10


def test_reading_the_same_path_twice_gives_equal_sheets():
    first, second = (read_table(TABLES / "senn2013.csv") for _ in range(2))
    assert first == second
