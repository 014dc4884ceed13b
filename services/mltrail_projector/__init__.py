"""From the log to the read model: the loop, one function per event, rebuild."""
