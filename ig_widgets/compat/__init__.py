"""This engine beside others."""
