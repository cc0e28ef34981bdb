"""Where runs are written down, so that they outlive their process."""
