"""ClinicalTrials.gov API v2: records are fetched, kept as they came, and parsed into facts with a JSON pointer each."""
