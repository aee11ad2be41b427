"""`badx-hub evaluate` without a task: the perplexity of a language adapter on text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from badx_hub.cli import _load_stack, _options, _output
from badx_hub.cli._output import Format
from badx_hub.errors import UsageError
from badx_hub.metric_key import MetricKey
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.evaluation.perplexity import Perplexities
    from badx_hub.registry import AdapterQuery

_DROPPED = (
    "the head that this adapter was trained with was not published (publish_head in a recipe), so these "
    "perplexities are under the head of the base, and do not compare with those of the training."
)


def measure(
    asked: AdapterQuery,
    text: list[str],
    registry: str | None,
    *,
    base: str | None,
    lock: Path | None,
    offline: bool,
    format: Format,
) -> None:
    """Find the adapter, measure and print. Raises UsageError where there is no text, and as `measure_perplexity`."""
    given = _options.text_options(text)
    if not given:
        raise UsageError(
            "evaluate scores a stack (--task pos --data SOURCE) or a language adapter on text: one --text LANG=SOURCE "
            "for each language."
        )
    chain, resolution = _load_stack.open_and_find(registry, asked, lock=lock, offline=offline)
    from badx_hub.evaluation.perplexity import measure_perplexity

    done = measure_perplexity(resolution.entry, chain, given, base=_load_stack.folder_of(base), offline=offline)
    if not done.compare:
        _output.warning(_DROPPED)
    trained = done.entry.manifest.metrics.get("dev", {})
    keys = {language: MetricKey.perplexity(language) for language in done.values}
    _output.show(
        format,
        tables=[_table(done)],
        document={
            "name": str(done.entry.name),
            "version": done.entry.version,
            "head": done.head,
            "metrics": {str(keys[language]): value for language, value in done.values.items()},
            "in_training": {str(key): trained[str(key)] for key in keys.values() if str(key) in trained},
            "text": [source.model_dump() for source in done.sources],
        },
        quiet=[f"{keys[language]}\t{value:.6f}" for language, value in done.values.items()],
    )


def _table(done: Perplexities) -> Table:
    """One row a language, with what the manifest has of it if the text is that of the training."""
    trained = done.entry.manifest.metrics.get("dev", {})
    same = {(source.language, source.digest) for source in done.entry.manifest.data}
    rows = []
    for source in done.sources:
        key = MetricKey.perplexity(source.language)
        known = trained.get(str(key)) if (source.language, source.digest) in same else None
        before = "" if known is None else key.shown(known)
        rows.append((source.language, source.name, key.shown(done.values[source.language]), before))
    title = f"{done.entry.name}, held-out text"
    header = ("language", "text", "perplexity", "in training")
    return Table.of(header, rows, numbers=header[2:], folding=("text",), title=title)
