"""Models behind HTTP: what is sent, what comes back, and what can go wrong on the way."""
