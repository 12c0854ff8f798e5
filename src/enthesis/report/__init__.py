"""Tell: from a run to a document, and from a document to a page or to JSON."""
