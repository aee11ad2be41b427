"""Cards (README.md) that are long, steer a terminal or carry code; and a megabyte of each suspicious character.

A card is prose that nothing is loaded from, so a registry may copy one; what it says may never reach a terminal raw.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.hostile.artefact import Artefact, Artefacts, Sandbox, tries

_CHARACTERS = "\n\r \t-#`*_[](){}<>!|&:\"'\\\0\x1b\x9b\u202e\ufeff\u0301\U0001f600"
_TEXTS = {
    "no-metadata": "# Card\n",
    "metadata-unended": "---\nlicense: mit\n",
    "metadata-bomb": "---\na: &a [x, x]\n"
    + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    + "---\n",
    "metadata-python": "---\n!!python/object/apply:os.system ['touch $CANARY']\n---\n",
    "metadata-deep": "---\n" + "[" * 50_000 + "\n---\n",
    "metadata-date": "---\nlicense: 2001-99-99\n---\n",
    "metadata-timestamp": "---\nlicense: !!timestamp x\n---\n",
    "metadata-many": "---\n" + "tags: [x]\n" * 50_000 + "---\n",
    "script": "<script>alert(1)</script>\n",
    "jinja": "{{ ''.__class__.__mro__ }} {% for x in range(10**9) %}{% endfor %}\n",
    "not-utf-8": "\udcff\udcfe\n",
    "seals": "<!-- badx -->\n" * 50_000,
    "crlf": "---\r\nlicense: mit\r\n---\r\n# Card\r\n",
}


def artefacts() -> Artefacts:
    """Each as an edited card, and as one that badx.json vouches for."""
    for character in _CHARACTERS:
        yield _artefact(f"megabyte-of-{ord(character):04x}", character * 2**20, seal=False)
    for character in "\n-\x1b\0":
        yield _artefact(f"pattern-of-{ord(character):04x}", ("---" + character) * 2**18, seal=True)
    for what, text in _TEXTS.items():
        yield _artefact(what, text, seal=False)
        yield _artefact(f"{what}-sealed", text, seal=True)


def _artefact(what: str, text: str, *, seal: bool) -> Artefact:
    return Artefact(
        f"cards/{what}", _forge(text, seal=seal), tries("ba", ("info", "verify", "pull", "push"), either=("all",))
    )


def _forge(text: str, *, seal: bool) -> Callable[[Sandbox], None]:
    def forge(box: Sandbox) -> None:
        (box.folder("ba") / "README.md").write_bytes(text.encode("utf-8", "surrogateescape"))
        if seal:
            box.seal("ba")

    return forge
