"""PubMed: records from the XML of E-utilities.

`parse` is pure: bytes of `efetch` (db=pubmed, retmode=xml) to records with their registry numbers and with the notices
that retract, correct or update them. `eutils.py` fetches.

Source: E-utilities help (NCBI), https://www.ncbi.nlm.nih.gov/books/NBK25501/; the elements of MEDLINE/PubMed data,
https://www.nlm.nih.gov/bsd/licensee/elements_descriptions.html.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from enthesis.evidence.sources.records import ReadRecords, Unparsed, doi_in, joined, record_id
from enthesis.evidence.sources.xmlfile import parse_xml, text_of

if TYPE_CHECKING:
    from lxml.etree import _Element

#: notices about a record, by the column that keeps them (RefType of CommentsCorrections)
NOTICES: dict[str, tuple[str, ...]] = {
    "retracted_by": ("RetractionIn", "PartialRetractionIn", "RetractedandRepublishedIn"),
    "concern_by": ("ExpressionOfConcernIn",),
    "corrected_by": ("ErratumIn", "CorrectedandRepublishedIn"),
    "updated_by": ("UpdateIn", "RepublishedIn"),
    "notice_of": ("RetractionOf", "PartialRetractionOf", "ErratumFor", "ExpressionOfConcernFor", "UpdateOf"),
}
_ROOTS = ("PubmedArticleSet", "PubmedArticle", "PubmedBookArticle", "PubmedBookArticleSet")


def parse(content: bytes, name: str = "PubMed XML") -> ReadRecords:
    """Records of a PubMed XML document.

    Parameters
    ----------
    content : bytes
    name : str
        What messages call the file.

    Returns
    -------
    ReadRecords
        With a locator per record: its place in the document.

    Raises
    ------
    DataError
        When it is not PubMed XML, or hostile.

    Examples
    --------
    >>> xml = (b"<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>7</PMID><Article><ArticleTitle>A trial"
    ...        b"</ArticleTitle></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>")
    >>> parse(xml).records[0]["record_id"]
    'pubmed:7'
    """
    root = parse_xml(content, name, _ROOTS, "PubMed XML")
    records, unparsed = [], []
    counts: dict[str, int] = {}
    for element in [root] if root.tag in ("PubmedArticle", "PubmedBookArticle") else list(root):
        tag = str(element.tag)
        counts[tag] = counts.get(tag, 0) + 1
        where = f"/{tag}[{counts[tag]}]" if element is root else f"/{root.tag}/{tag}[{counts[tag]}]"
        if tag == "PubmedArticle":
            found: dict[str, str] | str = _article(element)
        elif tag == "PubmedBookArticle":
            found = _book(element)
        elif tag == "DeleteCitation":
            ids = joined(text_of(pmid) for pmid in element)
            found = f"PubMed has deleted these records: {ids or 'none named'}"
        else:
            found = f"the element {tag} is not known"
        if isinstance(found, str):
            unparsed.append(Unparsed(where, found))
        else:
            records.append({**found, "locator": where})
    return ReadRecords(name, content, tuple(records), tuple(unparsed))


def _article(element: _Element) -> dict[str, str] | str:
    citation = element.find("MedlineCitation")
    article = element.find("MedlineCitation/Article")
    pmid = text_of(element.find("MedlineCitation/PMID"))
    if citation is None or article is None:
        return "it has no MedlineCitation with an Article"
    if not re.fullmatch(r"[0-9]{1,9}", pmid):
        return f"its PMID {pmid[:20]!r} is not a number"
    title = text_of(article.find("ArticleTitle")) or text_of(article.find("VernacularTitle"))
    if not title:
        return f"PMID {pmid} has no title"
    ids = {e.get("IdType", ""): text_of(e) for e in element.findall("PubmedData/ArticleIdList/ArticleId")}
    doi = next((text_of(e) for e in article.findall("ELocationID") if e.get("EIdType") == "doi"), ids.get("doi", ""))
    return {
        **_common(pmid, title, article),
        "doi": doi_in(doi),
        "nct_id": joined(_registered(article)),
        "authors": joined(_authors(article.findall("AuthorList/Author"))),
        "year": _year(article),
        "journal": text_of(article.find("Journal/ISOAbbreviation")) or text_of(article.find("Journal/Title")),
        "volume": text_of(article.find("Journal/JournalIssue/Volume")),
        "pages": text_of(article.find("Pagination/MedlinePgn")),
        "keywords": joined(
            text_of(e)
            for path in ("MeshHeadingList/MeshHeading/DescriptorName", "KeywordList/Keyword")
            for e in citation.findall(path)
        ),
        **_notices(citation),
    }


def _common(pmid: str, title: str, article: _Element) -> dict[str, str]:
    return {
        "record_id": record_id("PubMed", pmid),
        "kind": "database",
        "database": "PubMed",
        "pmid": pmid,
        "title": title,
        "abstract": _abstract(article),
        "language": joined(text_of(e) for e in article.findall("Language")),
        "publication_types": joined(text_of(e) for e in article.iter("PublicationType")),
        "url": f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/",
    }  # fmt: skip


def _book(element: _Element) -> dict[str, str] | str:
    document = element.find("BookDocument")
    pmid = text_of(element.find("BookDocument/PMID"))
    title = text_of(element.find("BookDocument/ArticleTitle")) or text_of(element.find("BookDocument/Book/BookTitle"))
    if document is None or not re.fullmatch(r"[0-9]{1,9}", pmid) or not title:
        return "the book has no PMID or no title"
    year = re.search(r"(19|20)\d\d", text_of(document.find("Book/PubDate")))
    return {
        **_common(pmid, title, document),
        "authors": joined(_authors(document.findall("AuthorList/Author"))),
        "year": year[0] if year else "",
        "journal": text_of(document.find("Book/BookTitle")),
    }


def _abstract(article: _Element) -> str:
    parts = []
    for part in article.findall("Abstract/AbstractText"):
        label, text = (part.get("Label") or "").strip(), text_of(part)
        parts.append(f"{label}: {text}" if label and text else text)
    return " ".join(filter(None, parts))


def _registered(article: _Element) -> list[str]:
    return [
        text_of(number)
        for bank in article.findall("DataBankList/DataBank")
        if text_of(bank.find("DataBankName")).casefold() == "clinicaltrials.gov"
        for number in bank.findall("AccessionNumberList/AccessionNumber")
    ]


def _authors(authors: list[_Element]) -> list[str]:
    names = []
    for author in authors:
        last, first = text_of(author.find("LastName")), text_of(author.find("ForeName"))
        names.append(f"{last}, {first}" if last and first else last or text_of(author.find("CollectiveName")))
    return names


def _year(article: _Element) -> str:
    date = article.find("Journal/JournalIssue/PubDate")
    for text in (text_of(date), text_of(article.find("ArticleDate/Year"))):
        found = re.search(r"\b(19|20)\d\d\b", text)
        if found:
            return found[0]
    return ""


def _notices(citation: _Element) -> dict[str, str]:
    found: dict[str, list[str]] = {column: [] for column in NOTICES}
    for item in citation.findall("CommentsCorrectionsList/CommentsCorrections"):
        kind, pmid = item.get("RefType", ""), text_of(item.find("PMID"))
        told = f"PMID {pmid}" if pmid else text_of(item.find("RefSource"))
        for column, kinds in NOTICES.items():
            if kind in kinds:
                found[column].append(f"{kind} {told}".strip())
    return {column: joined(notices) for column, notices in found.items()}
