"""The Python environment: each distribution, where it can be had again, and what differs from it."""
