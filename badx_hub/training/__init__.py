"""Training: one loop for every kind of adapter, its checkpoints, and what it leaves in a registry."""
