"""Templates (Jinja2) of model cards: language.md.j2 for BA, LA and MA, task.md.j2 for TA. report.html.j2 is the page of a report."""
