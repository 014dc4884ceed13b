"""What all sides agree on: events, records, ids, errors, rules, the log and the artifact store."""
