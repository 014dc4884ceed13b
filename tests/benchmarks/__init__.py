"""How fast mltrail is, beside MLflow, FastTrackML and a server that does nothing: `python -m tests.benchmarks`.

Every figure of a table comes from one run of one machine, so the ratios count more than the figures.
"""
