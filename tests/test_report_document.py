"""The report of a run: order, links, escaping, no request to anybody, and the same content as data."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser

import jsonschema
import pandas as pd
import pytest

from enthesis.living.review import Review, run_review
from enthesis.report.document import review_document
from enthesis.report.render.html import render
from enthesis.report.render.json import results, schema
from enthesis.report.tables import readings
from enthesis.report.values import Cell, Column, Document, Link, Row, Section, Table, Text
from enthesis.report.write import write_report

QUESTIONS = ["asas40-nr", "asas40-nr-ir", "dptga", "asas40-nr-naive"]
VOID = {"meta", "br", "hr", "img", "input", "link", "rect", "path", "circle", "line", "stop"}


class Page(HTMLParser):
    """Reads a page: is it well nested, what can be linked to, what is linked, what could ask another host."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.headings: list[int] = []
        self.badly_nested: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        if given.get("id"):
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given.get("href") or "")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.badly_nested.append(tag)

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def run():
    return run_review("axspa", only=QUESTIONS)


@pytest.fixture(scope="module")
def document(run):
    return review_document(run)


@pytest.fixture(scope="module")
def text(document):
    return render(document)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


@pytest.fixture(scope="module")
def told(run):
    return results(run)


HOSTILE = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The same review with hostile text in its evidence: titles, addresses, names, notes, places."""
    folder = tmp_path_factory.mktemp("hostile") / "review"
    shutil.copytree(Review.load("axspa").folder, folder)

    def spoil(name, **cells):
        path = folder / "evidence" / name
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        for column, value in cells.items():
            table[column] = value if isinstance(value, str) else [value(v) for v in table[column]]
        table.to_csv(path, index=False)

    spoil("sources.csv", title=HOSTILE, url="javascript:alert(1)", doi='10.1/"onmouseover="alert(1)',
          note="</style><img src=x onerror=alert(1)>")  # fmt: skip
    spoil("arms.csv", treatment=lambda v: v if v == "placebo" else f"{v} <img src=http://evil.example/x>")
    spoil("outcomes.csv", locator='=HYPERLINK("http://evil.example")<svg onload=alert(1)>', note=HOSTILE)
    spoil("studies.csv", nct_id='"><script>alert(2)</script>')
    return render(review_document(run_review(folder, only=["asas40-nr"])))


def test_the_page_is_well_nested(page):
    assert page.badly_nested == []
    assert page.open == []


def test_every_place_has_its_own_name(page):
    assert [i for i, n in Counter(page.ids).items() if n > 1] == []


def test_every_link_inside_the_page_leads_somewhere(page):
    assert sorted({to for to in page.links if to.startswith("#") and to[1:] not in page.ids}) == []


def test_every_other_link_is_a_plain_web_address(page):
    assert [to for to in page.links if not re.match(r"#|https?://", to)] == []


def test_the_page_asks_nobody_for_anything(page, text):
    loading = {"img", "iframe", "object", "embed", "link", "video", "audio", "source", "base", "form", "image", "use"}
    assert [tag for tag, _ in page.tags if tag in loading] == []
    assert [a for _, a in page.tags if "src" in a or "srcset" in a or "xlink:href" in a] == []
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []


def test_the_policy_forbids_requests_and_allows_only_our_own_style_and_script(page):
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert [a for _, a in page.tags if "style" in a or any(name.startswith("on") for name in a)] == []


def test_the_digests_of_the_policy_fit_the_style_and_the_script(text):
    import base64
    import hashlib

    for tag in ("style", "script"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.S).group(1)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{digest}&#39;" in text.replace("'", "&#39;")


def test_headings_go_down_one_step_at_a_time(page):
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert [b - a for a, b in zip(page.headings, page.headings[1:]) if b - a > 1] == []


def test_every_figure_has_a_text_alternative_and_a_caption(page):
    drawings = [a for tag, a in page.tags if tag == "svg" and a.get("role") == "img"]
    assert len(drawings) == [tag for tag, _ in page.tags].count("figcaption") > 4
    assert all(len(a["aria-label"]) > 40 for a in drawings)


def test_every_header_of_a_table_says_what_it_heads(page):
    assert [a for tag, a in page.tags if tag == "th" and a.get("scope") not in ("col", "row")] == []
    assert [t for t, _ in page.tags].count("table") == [t for t, _ in page.tags].count("caption")


def test_there_is_a_skip_link_a_language_and_a_width_for_phones(page):
    assert page.links[0] == "#main"
    assert ("html", {"lang": "en"}) in page.tags
    assert any(a.get("name") == "viewport" for _, a in page.tags)


def test_messages_come_first_and_sources_last(document):
    ids = [s.id for s in document.sections]
    assert ids[0] == "messages"
    assert ids[-4:] == ["methods", "studies", "results", "sources"]
    assert ids.index("q-asas40-nr") < ids.index("overview")


def test_that_it_is_no_guideline_is_said_once(text):
    assert text.count("not a guideline") == 1


def test_what_the_report_cannot_tell_is_said_beside_the_messages(document):
    assert [s.id for s in document.sections[0].sections] == ["limits"]


def test_the_league_table_says_how_to_read_a_cell(text):
    assert "Each cell is the row versus the column." in text


def test_every_message_has_a_number_with_a_link_or_says_that_something_is_missing(document):
    messages = document.sections[0].blocks[0].items
    assert len(messages) >= 2
    assert all(any(isinstance(p, Link) for p in m) or "not" in "".join(str(p) for p in m) for m in messages)


def test_an_effect_leads_to_the_comparison_then_the_data_then_the_result_row_then_the_source(run, text):
    reading = readings(run)[0]
    effect = reading.effects.iloc[0]
    where = reading.where(effect["treatment"], effect["comparator"])
    comparison = re.search(rf'<tr id="{re.escape(where)}".*?</tr>', text, re.S).group(0)
    study = re.search(r'href="#(q-asas40-nr\.study-[^"]+)"', comparison).group(1)
    data = re.search(rf'<tr id="{re.escape(study)}".*?</tr>', text, re.S).group(0)
    row = re.search(r'href="#(row-R-[0-9a-f]{10})"', data).group(1)
    result = re.search(rf'<tr id="{row}".*?</tr>', text, re.S).group(0)
    source = re.search(r'href="#(source-[^"]+)"', result).group(1)
    document = re.search(rf'<tr id="{re.escape(source)}".*?</tr>', text, re.S).group(0)
    assert 'href="http' in document


def test_every_used_row_is_shown_with_its_check_and_extractor(run, page, text):
    used = {row for a in run.answers for row in a.selection.used}
    assert {f"row-{r}" for r in used} <= set(page.ids)
    deduced = run.evidence.outcomes.query("check == 'deduced'")["result_id"]
    for row in set(deduced) & used:
        assert "deduced:" in re.search(rf'<tr id="row-{row}".*?</tr>', text, re.S).group(0)
    assert text.count("enthesis.evidence.sources.tables") >= len(used)


def test_a_question_without_an_answer_says_why(text):
    assert "No answer." in text
    assert "no study answers the question" in text


def test_hostile_evidence_stays_text(hostile):
    page = Page(hostile)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert [tag for tag, _ in page.tags if tag in ("img", "image", "iframe")] == []
    assert [a for _, a in page.tags if any(name.startswith("on") for name in a)] == []
    assert page.badly_nested == []
    assert "&lt;script&gt;alert" in hostile


def test_a_hostile_address_is_no_link(hostile):
    assert [to for to in Page(hostile).links if not re.match(r"#|https?://", to)] == []
    assert 'href="https://doi.org/10.1/"' not in hostile


def test_a_document_made_by_hand_is_escaped_everywhere():
    table = Table(id="t", caption=HOSTILE, columns=(Column(HOSTILE), Column(HOSTILE)), note=(HOSTILE,),
                  rows=(Row((Cell((HOSTILE,)), Cell((Link(HOSTILE, "javascript:alert(1)"),)))),))  # fmt: skip
    made = render(Document(title=HOSTILE, subtitle=HOSTILE, facts=((HOSTILE, HOSTILE),),
                           sections=(Section(id="s", title=HOSTILE, blocks=(Text((HOSTILE,)), table)),)))  # fmt: skip
    assert [tag for tag, _ in Page(made).tags].count("script") == 1
    assert "javascript:" not in made


def test_the_data_follow_the_schema(told):
    jsonschema.Draft202012Validator(schema()).validate(json.loads(json.dumps(told, allow_nan=False)))


def test_the_schema_refuses_a_key_that_it_does_not_know(told):
    assert not jsonschema.Draft202012Validator(schema()).is_valid({**told, "extra": 1})


def test_the_page_and_the_data_say_the_same_effects(run, told, text):
    import math

    from enthesis.report.wording import interval

    answer = told["answers"][0]
    found = {r["treatment"]: r for r in answer["fits"][0]["against_reference"]}
    for r in found.values():
        assert f">{interval(*(math.exp(r[k]) for k in ('estimate', 'lower', 'upper')))}</a>" in text


def test_the_page_and_the_data_say_the_same_messages(told, page):
    words = re.sub(r"\s+", " ", "".join(page.words))
    assert [m for m in told["key_messages"] if re.sub(r"\s+", " ", m).strip() not in words] == []


def test_the_rows_of_the_flow_add_up(told, run):
    for answer, own in zip(told["answers"], run.answers, strict=True):
        assert sum(line["rows"] for line in answer["flow"]) == len(own.selection.rows)


def test_every_row_behind_an_arm_is_among_the_results_and_every_source_is_described(told):
    results_known = {r["result_id"] for r in told["results"]}
    assert {row for a in told["answers"] for d in a["data"] for row in d["rows"]} == results_known
    sources = {s["source_id"] for s in told["sources"]}
    assert {part.strip() for r in told["results"] for part in r["source_id"].split(";")} <= sources


def test_both_files_are_written_and_no_half_file_stays(run, tmp_path):
    page, data = write_report(run, tmp_path / "new" / "folder")
    assert sorted(p.name for p in page.parent.iterdir()) == ["report.html", "results.json"]
    assert json.loads(data.read_text(encoding="utf-8"))["format"] == "enthesis-results/1"


def test_a_second_report_of_the_same_run_is_the_same(run, text):
    assert render(review_document(run)) == text
