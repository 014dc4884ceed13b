"""Who sends a request: API tokens, from the header `Authorization` to the actor of an event."""
