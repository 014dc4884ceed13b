"""`mltrail server`: the API, the projector and the jobs, in one process or each alone."""
