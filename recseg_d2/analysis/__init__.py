"""What the papers say about their models beyond the scores, from saved results.

An analysis is one file: ``analyse`` takes runs or their predictions and returns a ``Report`` of
tables and plots. ``recseg analyze`` calls them by the names in ``recseg_d2.analysis.catalog``.
"""
