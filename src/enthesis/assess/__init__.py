"""How far to trust it: assessments read off networks and fits."""
