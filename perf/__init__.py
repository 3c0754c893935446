"""Measurements; README.md says what and how to read them."""
