"""Jupyter widgets, and nothing of attribution: validated state, background work, notebook outputs."""
