"""A Hub, seen from below: what a place on it is called, and how to ask it. It knows nothing of registries."""
