"""How runs flow: strands, the nodes compiled to move them, and their actors."""
