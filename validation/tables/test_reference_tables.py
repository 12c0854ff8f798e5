"""Tables of other packages, as their manifest describes them."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from enthesis.errors import DataError
from enthesis.network.tables import from_table

FOLDER = os.environ.get("ENTHESIS_REFERENCE")
REQUIRED = os.environ.get("ENTHESIS_REQUIRE") == "all"

#: why a table of the collection is refused; the sentence must hold these words
REFUSED = {
    "not those of a known layout": (
        "Linde2015", "crossnma_ipddata", "hta_psoriasis", "plaque_psoriasis_agd", "plaque_psoriasis_ipd", "ndmm_agd",
        "ndmm_agd_covs", "ndmm_ipd", "metadat_axfors2021", "metadat_bourassa1996", "metadat_cannon2006",
        "metadat_collins1985a", "metadat_debruin2009", "metadat_fine1993", "metadat_kearon1998", "metadat_molloy2014",
        "atrialFibrillation_gemtc_treatments", "blocker_gemtc_treatments", "certolizumab_gemtc_treatments",
        "depression_gemtc_treatments", "dietfat_gemtc_treatments", "hfPrevention_gemtc_treatments",
        "parkinson_gemtc_treatments", "smoking_gemtc_treatments", "thrombolytic_gemtc_treatments",
    ),
    "told apart by column 'time'": (
        "mbnmatime_GoutSUA_CFB", "mbnmatime_alog_pcfb", "mbnmatime_copd", "mbnmatime_diabetes",
        "mbnmatime_goutSUA_CFBcomb", "mbnmatime_hyalarthritis", "mbnmatime_obesityBW_CFB", "mbnmatime_osteopain",
    ),
    "twice": (
        "social_anxiety", "mbnmadose_ssi_closure", "metadat_anand1999", "metadat_assink2016", "metadat_baskerville2012",
        "metadat_yusuf1985",
    ),
    "no row with an empty": ("metadat_begg1989", "metadat_lopez2019"),
}  # fmt: skip
#: tables in which rows are studies under a name that the manifest counts otherwise
COUNTED_BY_ROW = {"metadat_egger2001", "metadat_li2007", "metadat_linde2005"}


def manifest() -> list[dict]:
    """The rows of the manifest, or none where the collection is not at hand."""
    if not FOLDER:
        return []
    with (Path(FOLDER) / "data" / "MANIFEST.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_collection_is_at_hand():
    if not FOLDER and not REQUIRED:
        pytest.skip("ENTHESIS_REFERENCE is not set")
    assert manifest()


@pytest.mark.parametrize("entry", manifest(), ids=lambda e: e["file"])
def test_a_table_has_the_studies_and_treatments_of_the_manifest(entry):
    name = entry["file"].removesuffix(".csv")
    path = Path(FOLDER) / "data" / entry["file"]
    reason = next((why for why, names in REFUSED.items() if name in names), None)
    if reason:
        with pytest.raises(DataError, match=reason):
            from_table(path)
        return
    network = from_table(path)
    if entry["n_treatments"] not in ("", "NA"):
        assert network.n_treatments == int(entry["n_treatments"])
    if entry["n_studies"] not in ("", "NA") and name not in COUNTED_BY_ROW:
        assert network.n_studies == int(entry["n_studies"])
