"""Renderers: a document as a page, a run as JSON."""
