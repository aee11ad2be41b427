"""Models: finding and loading a base, adapters in it, what they are trained for (MLM loss, heads of tasks)."""

IGNORED = -100
"""The label id that torch's cross entropy leaves out of the loss."""
