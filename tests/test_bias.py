"""Tools for risk of bias as data, judgements in and out, and their figures."""

import pytest

from enthesis.assess.bias import Judged, as_rows, for_outcome, judgements, read_robvis, to_robvis, tool, tools
from enthesis.errors import DataError, UsageError
from enthesis.evidence import Store
from enthesis.report.bias import lights, shares
from enthesis.report.plots import bias_summary, traffic_light
from enthesis.report.render.svg import draw, inline

HEADER = "Study,D1,D2,D3,D4,D5,Overall,Weight\n"
TABLE = HEADER + "A,Low,Low,Low,Low,Low,Low,2\nB,Low,Some concerns,Low,High,Low,High,1\n"


def test_both_versions_of_robins_i_are_there_with_their_domains():
    assert [len(tool(t).domains) for t in ("robins-i-2016", "robins-i-v2-2025")] == [7, 6]
    assert "V2" in tool("robins-i-v2-2025").tool


@pytest.mark.parametrize("its", tools().values(), ids=tools())
def test_every_tool_has_a_citation_a_version_and_levels_that_get_worse(its):
    assert its.citation
    assert its.version
    assert its.domains
    weights = [level.weight for level in its.levels if level.weight]
    assert weights == sorted(weights)
    assert its.levels[-1].id == "no-information"


@pytest.mark.parametrize(
    ("levels", "overall"),
    [
        (("low", "low"), "low"),
        (("low", "some-concerns"), "some-concerns"),
        (("some-concerns", "high"), "high"),
        (("low", "no-information"), "no-information"),
        (("no-information", "some-concerns"), "some-concerns"),
    ],
)
def test_the_overall_judgement_is_the_worst_and_never_low_without_information(levels, overall):
    its = tool("rob2-2019")
    assert its.worst([its.level(x) for x in levels]).id == overall


def test_a_robvis_table_is_read_and_written_back():
    found = read_robvis(TABLE, "rob2-2019")
    assert (found[1].domains["D4"], found[1].level, found[0].weight) == ("high", 3, 2.0)
    again = read_robvis(to_robvis(found).to_csv(index=False), "rob2-2019")
    assert again == found


def test_the_cluster_tool_has_its_extra_domain():
    found = read_robvis("Study,D1,D1b,D2,D3,D4,D5,Overall\nA,Low,High,Low,Low,Low,Low,High\n", "rob2-cluster-2021")
    assert found[0].domains["D1b"] == "high"


def test_robins_i_v2_knows_low_except_for_confounding():
    row = "A,Low (except for concerns about uncontrolled confounding),Low,Low,Low,Low,Low,Moderate\n"
    found = read_robvis("Study,D1,D2,D3,D4,D5,D6,Overall\n" + row, "robins-i-v2-2025")
    assert (found[0].domains["D1"], found[0].domains["D2"]) == ("low-except-confounding", "low")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Study,D1,D2,D3,D4,Overall\nA,Low,Low,Low,Low,Low\n", "lacks the columns D5"),
        (HEADER.replace("D5", "D9") + "A,Low,Low,Low,Low,Low,Low,1\n", "column 'D9'"),
        (HEADER + "A,Low,Low,Low,Lo w rsk,Low,Low,1\n", "row 2, column 'D4'"),
        (HEADER + "A,Low,Low,Low,Low,Low,Low,1\nA,Low,Low,Low,Low,Low,Low,1\n", "comes twice"),
        (HEADER + "A,Low,Low,Low,Low,Low,Low,heavy\n", "column 'Weight', value 'heavy'"),
        (HEADER.replace("D2", "D1") + "A,Low,Low,Low,Low,Low,Low,1\n", "comes twice"),
        ("", "has no judgements"),
    ],
)
def test_a_bad_table_is_refused_with_the_place(text, says):
    with pytest.raises(DataError, match=says):
        read_robvis(text, "rob2-2019", file="t.csv")


def stored(found, *, author="A. Reviewer"):
    with Store.open(":memory:") as store:
        for row in as_rows(found, reason="agreed by two"):
            store.judge("bias", row, author=author, reason="agreed by two")
        return store.evidence()


def test_a_judgement_is_a_fact_with_author_date_and_reason():
    found = judgements(stored(read_robvis(TABLE, "rob2-2019")))
    assert [(j.study, j.overall, j.by, j.reason) for j in found] == [
        ("A", "low", "A. Reviewer", "agreed by two"),
        ("B", "high", "A. Reviewer", "agreed by two"),
    ]
    assert found[0].date[:2] == "20"


def test_rows_of_the_table_rob_are_judgements_too():
    row = {"study_id": "A", "outcome_family": "all", "randomisation": "low", "overall": "some-concerns",
           "judged_by": "published", "reason": "Table S3"}  # fmt: skip
    with Store.open(":memory:") as store:
        store.judge("rob", row, author="A. Reviewer", reason="Table S3")
        found = judgements(store.evidence())
    assert (found[0].tool, found[0].domains, found[0].level) == ("rob2-2019", {"D1": "low"}, 2)


def test_the_judgement_on_the_outcome_itself_comes_before_the_one_on_all():
    made = [Judged(study="A", tool="rob2-2019", family=f, overall=o) for f, o in
            (("all", "low"), ("safety", "high"), ("ASAS40", "some-concerns"))]  # fmt: skip
    assert for_outcome(made, "ASAS40", "disease activity")["A"].overall == "some-concerns"
    assert for_outcome(made, "SAE", "safety")["A"].overall == "high"
    assert for_outcome(made, "dBASFI", "function")["A"].overall == "low"


def test_shares_by_domain_are_weighed_by_contribution():
    found = read_robvis(TABLE, "rob2-2019")
    table = shares(found, {"A": 0.9, "B": 0.1})
    own = table[table["domain"] == "Overall"].set_index("judgement")["share"]
    assert own.to_dict() == pytest.approx({"Low": 0.9, "High": 0.1})


def test_figures_render_and_say_what_they_show():
    found = read_robvis(TABLE, "rob2-2019")
    first, second = lights(found, {"A": 0.9, "B": 0.1}), shares(found)
    assert draw(lambda: traffic_light.chart(first)).startswith("<svg")
    assert draw(lambda: bias_summary.chart(second)).startswith("<svg")
    assert "1 low, 1 high" in traffic_light.alt_text(first)
    assert "50 % low, 50 % high" in bias_summary.alt_text(second)


def test_judgements_of_two_tools_are_not_drawn_together():
    mixed = [Judged(study="A", tool=t, overall="low") for t in ("rob2-2019", "robins-i-2016")]
    with pytest.raises(UsageError, match="several tools"):
        lights(mixed)


@pytest.mark.parametrize("n", [2, 60])
def test_figures_hold_few_and_many_studies_with_hostile_names(n):
    names = [f"<script>{i}</script>" for i in range(n)]
    found = [Judged(study=s, tool="robins-i-v2-2025", overall="serious", domains={"D1": "critical"}) for s in names]
    for made in (lambda: traffic_light.chart(lights(found)), lambda: bias_summary.chart(shares(found))):
        page, _, _ = inline(draw(made), "f", "figure")
        assert "<script" not in page
