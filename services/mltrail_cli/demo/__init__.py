"""`mltrail demo`: a server, real concurrent training, the registry and a replay check, to look at."""
