"""What stands before a model: how many may ask it, how often, and when not at all."""
