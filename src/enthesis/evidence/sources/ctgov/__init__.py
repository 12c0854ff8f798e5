"""ClinicalTrials.gov API v2: records are fetched, kept as they came, and parsed into facts with a JSON pointer each."""

from __future__ import annotations

from enthesis.evidence.sources.ctgov.keep import Kept, import_bytes, preview
from enthesis.evidence.sources.ctgov.parse import Known, parse
from enthesis.evidence.sources.ctgov.posted import Fact, Parsed
from enthesis.evidence.sources.ctgov.registry import Fetched, Found, fetch, look, search

__all__ = [
    "Fact",
    "Fetched",
    "Found",
    "Kept",
    "Known",
    "Parsed",
    "fetch",
    "import_bytes",
    "look",
    "parse",
    "preview",
    "search",
]
