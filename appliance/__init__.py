"""The analytics appliance: collects events, stores them exactly, shows them live."""

__version__ = "0.1.0"
