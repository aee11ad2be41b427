"""Studies: many runs from one file, planned as a graph of steps and run where the plan is made, or elsewhere."""
