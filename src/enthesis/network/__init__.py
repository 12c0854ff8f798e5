"""What is compared: the frozen analysis data set, with its ledger of exclusions."""
