"""Compatibility with Captum: its classes on this engine, and cross-checks against it."""
