"""The file ``understudy.toml``: read, checked whole, and made into models."""
