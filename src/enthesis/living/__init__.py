"""Run again: reviews as data, and their runs on a snapshot of the evidence."""
