"""The `mltrail` command: the composition root."""
