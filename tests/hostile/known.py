"""Artefacts that get through today: what gets through, and how many rows there may still be.

A row is the name of an artefact, the commands that do not hold, and the item of the list of findings that says what is
wrong. A row whose command holds fails the tests, so that whoever mends it takes it out.
"""

from __future__ import annotations

KNOWN: dict[str, tuple[str, int]] = {}
