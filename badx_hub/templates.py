"""Templates (Jinja2) that lie in packages, with one way of spacing; a name that is not given is an error."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates(package: str, *, folder: str = "", autoescape: bool = True, **options: Any) -> Environment:
    """The templates in `folder` of `package`; what is put in is escaped as HTML unless `autoescape` is false."""
    return Environment(
        loader=PackageLoader(package, folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=autoescape,
        **options,
    )
