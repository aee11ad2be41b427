"""Templates (Jinja2): of model cards (language.md.j2 for BA, LA and MA, task.md.j2 for TA) of reports, and the app of
a Space (space.py.j2, which is plain Python)."""
