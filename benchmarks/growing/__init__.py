"""How time and memory grow: what ``benchmarks/growth.py`` measures, one file a kind of curve."""
