"""Where evidence comes from: one file per kind of source, bytes to rows."""
