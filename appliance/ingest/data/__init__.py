"""Tables that enrichment reads; README.md names where each comes from."""
