"""The read model: disposable tables that the projector writes and everyone else reads."""
