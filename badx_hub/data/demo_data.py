"""The data inside the package: real text and treebanks for the demo, called `demo:PATH`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from badx_hub.errors import NotFoundError
from badx_hub.user_paths import user_path

PREFIX = "demo:"


def embedded(spec: str) -> str:
    """The path of embedded data for `demo:text/en.txt.gz` and the like; any other `spec` as it is.

    Raises:
        NotFoundError: there is no such embedded file or folder.
    """
    if not spec.startswith(PREFIX):
        return spec
    data = Path(str(files("badx_hub"))) / "demo" / "data"
    path = (data / user_path(spec.removeprefix(PREFIX))).resolve()
    if not path.exists() or data.resolve() not in path.parents:
        known = ", ".join(sorted(f"{PREFIX}{part.relative_to(data).as_posix()}" for part in data.glob("*/*")))
        raise NotFoundError(f"There is no embedded data {spec!r}. There is: {known}.")
    return str(path)
