"""A Space that shows a stack at work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from badx_hub.cli import _entries, _load_stack, _options, _output
from badx_hub.errors import UsageError


def space(
    pair: _options.PairArgument,
    task: _options.RequiredTaskOption,
    to: Annotated[
        str, typer.Option("--to", metavar="ORG/NAME|DIR", help="The Space ORG/NAME on the Hub, or the folder ./DIR.")
    ],
    base: _options.BaseOption = None,
    ratio: _options.RatioOption = None,
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    label: _options.LabelOption = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new Space private.")] = False,
    offline: _options.OfflineOption = False,
    registry: _options.RegistryOption = None,
) -> None:
    """Make a Space, a small web page, of a task adapter with what it is used on.

    Its app (Gradio), requirements and card go with the adapters themselves into a folder or onto the Hub.
    """
    from badx_hub.hub.client import HubClient
    from badx_hub.hub.ref import HubRef
    from badx_hub.registry.space import push_space, write_space

    asked = _entries.query(pair, task=task, setup=setup.value, base=base, ratio=ratio, label=label)
    folder = Path(to).expanduser() if to.startswith((".", "/", "~")) else None
    place = None if folder else HubRef.parse(to, bare=True)
    if folder is None and (place is None or place.name is None or place.revision is not None):
        raise UsageError(f"--to expects ORG/NAME for a Space on the Hub or ./DIR for a folder; got {to!r}.")
    if folder and private:
        raise UsageError("--private: only for the Hub. Leave it out.")
    chain, resolution = _load_stack.open_and_find(registry, asked, offline=offline)
    if folder:
        write_space(asked, resolution, chain, folder)
        _output.note("The Space is ready. Try it:")
        _output.note(f"  pip install -r {folder}/requirements.txt")
        _output.note(f"  python {folder}/app.py")
        _output.write(str(folder))
    elif place:
        _output.write(push_space(asked, resolution, chain, place, HubClient(), private=private))
