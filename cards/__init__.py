"""Model-card templates (Jinja2): language.md.j2 for BA, LA and MA, task.md.j2 for TA."""
