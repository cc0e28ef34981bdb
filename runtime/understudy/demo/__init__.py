"""The main job, to be run by everyone: real messages, real (small) models."""
