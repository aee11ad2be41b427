"""Forged artefacts of every kind, each tried with the commands that could meet it; what must hold is in `verdict.py`.

`pytest tests/hostile` runs them all and prints a count. `python -m tests.hostile.worker 'folders/*link*'` runs those
whose names match and prints what happened.
"""
