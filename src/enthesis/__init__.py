"""enthesis: living evidence synthesis, every number one click from its source."""

__version__ = "0.1.0"
