"""Source trees: a checkout, a folder or a file as it is, and what must be carried of it."""
