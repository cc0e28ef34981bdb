"""Workflows as data: what a user declares, before anything runs."""
