"""Callbacks for training frameworks: `mltrail.integrations.keras`, `.lightning` and `.transformers`.

Each module loads its framework, and none is loaded by `import mltrail`. All of them log to the run that they are given,
else to the active one, else to one that they start and end.
"""
