"""Routing: which way a run takes, decided by a policy and recorded."""
