"""Studies: many runs described in one file, planned as a graph of steps and run on this machine or others."""
