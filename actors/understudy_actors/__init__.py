"""Actors on trio: mailboxes, refs, supervisors, limits; no model and no disk."""
