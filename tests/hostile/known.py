"""Artefacts that get through today: which commands do not hold, and the finding that says what is wrong.

A block is the number of the finding, the kind, the commands, and the names of the artefacts on which just these do not
hold. An artefact on which one of them holds fails the tests, so that whoever mends it takes it out. At present there is
none.
"""

from __future__ import annotations

_BLOCKS: tuple[tuple[int, str, str, str], ...] = ()

KNOWN = {f"{kind}/{name}": (commands, finding) for finding, kind, commands, names in _BLOCKS for name in names.split()}
"""The commands that do not hold, and the number of the finding, by the name of the artefact."""
