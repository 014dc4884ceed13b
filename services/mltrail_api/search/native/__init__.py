"""The native search: MLflow's filters and far more, over the runs of several experiments or all.

`grammar` splits a filter, `parse` says what it means (`expression`), `condition` makes SQL of it; `pattern` and
`automaton` are its regular expressions. docs/search.md is the user's description.
"""
