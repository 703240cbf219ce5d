"""The model files that a graph uses, and where each can be had again."""
