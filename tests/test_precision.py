"""Standard errors rebuilt from what a table gives, row by row, and said in the ledger."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from enthesis.errors import DataError
from enthesis.network.tables import from_table

ROW = {"study": "S1", "treat1": "A", "treat2": "B"}


def se(row, measure="MD"):
    return from_table([ROW | row], measure=measure).blocks[0].se[0]


def rules(network):
    return [e.rule for e in network.ledger if e.action == "changed"]


@given(st.floats(0.05, 3), st.floats(0.05, 2))
def test_every_way_of_telling_a_standard_error_tells_the_same(y, true):
    half = norm.ppf(0.975) * true
    ways = [
        {"se": true}, {"variance": true**2}, {"lower": y - half, "upper": y + half}, {"z_value": y / true},
        {"pvalue": 2 * norm.sf(y / true)},
    ]  # fmt: skip
    for way in ways:
        if "pvalue" in way and way["pvalue"] < 1e-280:
            continue
        assert se({"TE": y} | way) == pytest.approx(true, rel=1e-6)


@given(st.floats(0.05, 3), st.integers(3, 200))
def test_with_degrees_of_freedom_the_p_value_is_of_a_t_test(true, df):
    p = 2 * t.sf(0.7 / true, df)
    assert se({"TE": 0.7, "p": p, "df": df}) == pytest.approx(true, rel=1e-6)


def test_a_ratio_is_tested_on_its_logarithm():
    assert se({"HR": 0.7, "p": 0.03}, "HR") == pytest.approx(abs(np.log(0.7)) / norm.ppf(1 - 0.015))


def test_each_row_takes_the_best_that_it_gives_and_the_ledger_names_the_rebuilt_rows():
    rows = [
        {"study": "1", "TE": 0.5, "se": 0.2, "pvalue": 0.9}, {"study": "2", "TE": 0.5, "lower": 0.1, "upper": 0.9},
        {"study": "3", "TE": 0.5, "pvalue": 0.04},
    ]  # fmt: skip
    network = from_table([ROW | row for row in rows], measure="MD")
    expected = [0.2, 0.8 / (2 * norm.ppf(0.975)), 0.5 / norm.ppf(0.98)]
    assert network.blocks[0].se == pytest.approx(expected)
    assert rules(network) == ["standard error from interval", "standard error from p-value"]
    told = {e.rule: e.rows[0] for e in network.ledger if e.action == "changed"}
    assert told["standard error from p-value"].endswith("row 4")


def test_a_statistic_with_the_other_sign_is_used_by_size_and_said():
    network = from_table([ROW | {"TE": 0.5, "t_stat": -2.5}], measure="MD")
    assert network.blocks[0].se[0] == pytest.approx(0.2)
    assert "sign of the statistic" in {e.rule for e in network.ledger}


def test_a_bound_on_a_p_value_tells_nothing_and_is_said():
    rows = [ROW | {"TE": 0.5, "pvalue": "<0.001"}, ROW | {"study": "2", "TE": 0.4, "pvalue": "0.01"}]
    network = from_table(rows, measure="MD")
    assert network.studies == ("2",)
    assert "p-value as a bound" in {e.rule for e in network.ledger}
    assert [e.study for e in network.ledger.excluded] == ["S1"]


def test_an_effect_of_zero_has_no_standard_error_by_its_p_value():
    rows = [ROW | {"TE": 0.0, "pvalue": 1}, ROW | {"study": "2", "TE": 0.4, "pvalue": 0.01}]
    assert from_table(rows, measure="MD").studies == ("2",)


def test_a_p_value_above_one_is_refused_at_its_cell():
    with pytest.raises(DataError, match=r"column 'pvalue', value '1\.2': a p-value is between 0 and 1"):
        se({"TE": 0.5, "pvalue": 1.2})


def test_columns_may_be_named():
    network = from_table([ROW | {"TE": 0.5, "chance": 0.04}], measure="MD", p="chance")
    assert network.mapping["p"] == "chance"
