"""Templates (Jinja2): of model cards (language.md.j2 for BA, LA and MA, task.md.j2 for TA) and of reports."""
