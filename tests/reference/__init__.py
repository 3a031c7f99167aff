"""Slow, literal implementations of the papers, to compare the fast ones with."""
