"""Stacks behind Ray Serve: several task adapters on one base in each replica, requests computed in batches."""
