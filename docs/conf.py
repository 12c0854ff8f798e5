"""Sphinx configuration. Warnings are errors (`make docs`)."""

from importlib.metadata import version as installed

project = "enthesis"
author = "The enthesis authors"
copyright = "The enthesis authors; MIT licence"
version = release = installed("enthesis")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
# pages of `decisions/` and of the bundled review stand beside this folder and are read where they are
suppress_warnings = ["myst.xref_missing"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "alabaster"
html_theme_options = {"description": "Living evidence synthesis, every number one click from its source"}
html_show_sphinx = False
html_show_sourcelink = False
