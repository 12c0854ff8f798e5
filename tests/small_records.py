"""Records made up for tests, in the shapes of PubMed, RIS and NBIB; no text is from a real record."""

from __future__ import annotations


def article(pmid: str, title: str = "A trial of a drug", **more: str) -> str:
    """A PubmedArticle. `more`: abstract, year, doi, nct, types (joined by |), notices (RefType=PMID joined by |)."""
    types = "".join(f"<PublicationType>{t}</PublicationType>" for t in more.get("types", "Journal Article").split("|"))
    notices = "".join(
        f'<CommentsCorrections RefType="{kind}"><RefSource>J. 2022</RefSource><PMID Version="1">{of}</PMID>'
        "</CommentsCorrections>"
        for kind, _, of in (n.partition("=") for n in more.get("notices", "").split("|") if n)
    )
    bank = (
        "<DataBankList><DataBank><DataBankName>ClinicalTrials.gov</DataBankName><AccessionNumberList>"
        f"<AccessionNumber>{more['nct']}</AccessionNumber></AccessionNumberList></DataBank></DataBankList>"
        if "nct" in more
        else ""
    )
    doi = f'<ELocationID EIdType="doi" ValidYN="Y">{more["doi"]}</ELocationID>' if "doi" in more else ""
    return f"""<PubmedArticle><MedlineCitation><PMID Version="1">{pmid}</PMID><Article>
<Journal><JournalIssue><Volume>3</Volume><PubDate><Year>{more.get("year", "2021")}</Year></PubDate></JournalIssue>
<Title>Journal of Examples</Title><ISOAbbreviation>J Ex</ISOAbbreviation></Journal>
<ArticleTitle>{title}</ArticleTitle><Pagination><MedlinePgn>10-19</MedlinePgn></Pagination>{doi}
<Abstract><AbstractText Label="METHODS">{more.get("abstract", "Patients were randomised.")}</AbstractText></Abstract>
<AuthorList><Author><LastName>Example</LastName><ForeName>Ann</ForeName></Author></AuthorList>
<Language>eng</Language>{bank}<PublicationTypeList>{types}</PublicationTypeList></Article>
<CommentsCorrectionsList>{notices}</CommentsCorrectionsList></MedlineCitation></PubmedArticle>"""


def pubmed(*articles: str) -> bytes:
    """An efetch document, with the document type that PubMed names."""
    return (
        '<?xml version="1.0" ?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2025//EN" '
        '"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">\n'
        f"<PubmedArticleSet>{''.join(articles)}</PubmedArticleSet>"
    ).encode()


RIS = """TY  - JOUR
TI  - A trial of a drug
AU  - Example, Ann
AU  - Other, Bo
PY  - 2021
JO  - J Ex
VL  - 3
SP  - 10
EP  - 19
AB  - Patients were randomised
and followed.
IL-17 was measured.
DO  - 10.1000/ex.1
AN  - L100
N1  - registered as NCT01234567
ER  -

TY  - JOUR
TI  - Another paper
PY  - 2019
AN  - L101
ER  -
"""

NBIB = """
PMID- 101
OWN - NLM
DP  - 2021 Mar
TI  - A trial of a drug in a
      long title.
LID - 10.1000/ex.1 [doi]
AB  - Patients were randomised.
FAU - Example, Ann
LA  - eng
SI  - ClinicalTrials.gov/NCT01234567
RIN - J Ex. 2023 Jan;5(1):1. PMID: 202
PT  - Journal Article
TA  - J Ex

PMID- 202
DP  - 2023
TI  - Retraction notice
ROF - J Ex. 2021 Mar;3:10. PMID: 101
PT  - Retraction Notice
"""
