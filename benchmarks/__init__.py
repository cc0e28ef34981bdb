"""Benchmarks: this library beside bare trio, in the same process, as ratios.

Run ``python -m benchmarks`` in the root of the project; see docs/benchmarks.md
for what the figures mean, and for what they do not show.
"""
