"""Which adapters may stand on one another: checks of entries before anything of them is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from badx_hub.errors import IntegrityError
from badx_hub.names import AdapterName
from badx_hub.registry.protocol import Entry, Registry
from badx_hub.remedies import RemoveAdapter
from badx_hub.setups import DEFAULT, SETUPS, LanguageAdapterRole, Setup, setup_named


def stacked(entries: Sequence[Entry], setup: str | None) -> Setup:
    """The setup in which the entries are a stack, the task adapter last; by default the one in its name.

    Raises IntegrityError if it was trained on another adapter, or one of them on another base.
    """
    in_name = SETUPS.get(entries[-1].name.setup or "", SETUPS[DEFAULT])
    chosen = setup_named(setup) if setup else in_name
    if chosen.swaps:
        _check_swap(entries, chosen)
    elif chosen.inference is None and len(entries) == 1:
        pass  # It is used on the bare base, whatever it was trained on.
    else:
        _check_chain(entries)
    _check_bases(entries)
    return chosen


def with_vocabulary(entries: Sequence[Entry]) -> Entry | None:
    """The language adapter among the entries whose sub-words the base gets; None where there are none.

    Raises IntegrityError if there are two with different ones, or one with and one without.
    """
    language_adapters = [entry for entry in entries if entry.name.task is None]
    if len({entry.manifest.vocabulary for entry in language_adapters}) > 1:
        raise IntegrityError(
            f"{_listed([entry.name for entry in language_adapters])} read text with different sub-words "
            "(extend_vocabulary), and a model has one vocabulary. Train them with the same one, or without."
        )
    return next((entry for entry in language_adapters if entry.manifest.vocabulary), None)


def verified(entry: Entry, registry: Registry) -> Path:
    """The folder of an entry; raises IntegrityError if a file in it is missing or has changed."""
    folder = registry.fetch(entry)
    if faults := [check for check in registry.verify(entry).faults if check.state != "extra"]:
        raise IntegrityError(
            f"{entry.name}: {faults[0].name} is {faults[0].state} in {folder}.",
            remedies=(RemoveAdapter(str(entry.name), force=True, renew=True),),
        )
    return folder


def _check_chain(entries: Sequence[Entry]) -> None:
    last = entries[-1].manifest
    expected = [last.parent.digest] if last.parent else []
    found = [entry.manifest.digest for entry in entries[:-1]]
    if expected != found:
        trained_on = expected[0][:12] if expected else "no adapter"
        given = found[0][:12] if found else "none"
        raise IntegrityError(
            f"{entries[-1].name} was trained on {trained_on} and would be used on {given}. "
            "Load the adapter it was trained on, or train it again on this one."
        )


def _check_swap(entries: Sequence[Entry], setup: Setup) -> None:
    """A TA trained on LAs can be used on any LA, or on merged LAs. Of a name it was trained on, only on the same."""
    known = {AdapterName.parse(ref.name): ref.digest for ref in entries[-1].manifest.language_adapters}
    trained_on = list(known)
    loaded = [entry.name for entry in entries[:-1]]
    kinds = {name.kind for name in trained_on}
    wanted = {"language"} if setup.inference is LanguageAdapterRole.TARGET else {"language", "bilingual"}
    if kinds != {"language"} or len(loaded) != 1 or loaded[0].kind not in wanted:
        raise IntegrityError(
            f"{setup.name} puts a task adapter from language adapters on another one; {entries[-1].name} was "
            f"trained on {_listed(trained_on)} and would be used on {_listed(loaded)}. "
            "Load it with the adapter it was trained on."
        )
    if known.get(loaded[0]) not in (None, entries[0].manifest.digest):
        raise IntegrityError(
            f"{entries[-1].name} was trained on {loaded[0]} {known[loaded[0]][:12]} and would be used on "
            f"{entries[0].manifest.digest[:12]}. Load the adapter it was trained on, or train it again on this one."
        )


def _listed(names: Sequence[AdapterName]) -> str:
    return ", ".join(map(str, names)) or "none"


def _check_bases(entries: Sequence[Entry]) -> None:
    last = entries[-1].manifest
    for entry in entries:
        if not entry.manifest.base.has_weights_of(last.base):
            raise IntegrityError(
                f"{entry.name} and {entries[-1].name} were trained on different bases. Train one of them again."
            )
