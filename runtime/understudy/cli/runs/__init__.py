"""The commands ``understudy runs ...``: what a journal holds, and what is asked of it."""
