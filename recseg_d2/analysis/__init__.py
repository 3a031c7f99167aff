"""What the papers say about their models beyond the scores, from saved results.

An analysis is one function, ``analyse`` of a file or a function named for what it shows: it takes
an ``AnalysisInput`` and returns an ``AnalysisResult`` of tables and plots. ``recseg analyze`` calls
them by the names in ``recseg_d2.analysis.catalog``.
"""
