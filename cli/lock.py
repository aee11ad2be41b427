"""`badx-hub lock`: write down which versions a stack is made of. Loads no tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from badx_hub.cli import _entries, _load_stack, _options, _output
from badx_hub.cli._output import Format
from badx_hub.table import Table


def lock(
    pair: _options.PairArgument,
    task: _options.RequiredTaskOption,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The lock file; other stacks in it stay.")
    ] = Path("badx.lock"),
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    base: _options.BaseOption = None,
    ratio: _options.RatioOption = None,
    label: _options.LabelOption = None,
    registry: _options.RegistryOption = None,
    fallback: _options.FallbackOption = None,
    offline: _options.OfflineOption = False,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Pin a stack: name, registry, version, commit and digests of its adapters and base.

    evaluate, predict and load_bilingual_stack take the file and use exactly these versions, or say why not.
    """
    from badx_hub.registry.lock import lock_stack, write_lock

    asked = _entries.query(pair, task=task, setup=setup.value, base=base, ratio=ratio, label=label)
    chain, resolution = _load_stack.open_and_find(registry, asked, fallback=fallback, offline=offline)
    stack = lock_stack(asked, resolution, chain, registry=registry)
    write_lock(output, stack)
    rows = [(one.name, one.version, one.digest[:12]) for one in stack.adapters]
    _output.show(
        format,
        tables=[
            Table.of(
                ("name", "version", "digest"),
                (*rows, (stack.base.name, "", stack.base.digest[:12])),
                folding=("name",),
                title=f"{stack.pair}, {stack.task} ({stack.setup}) -> {output}",
            )
        ],
        document=stack.model_dump(mode="json"),
        quiet=[str(output)],
    )
