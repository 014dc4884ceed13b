"""`mltrail runs`: lists of runs, one run with its delivery, and who changed it."""
