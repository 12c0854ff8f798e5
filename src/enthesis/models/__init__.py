"""What is believed: values that compose. No algorithm, no data frame, no database."""
