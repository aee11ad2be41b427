"""From what the user wants to the entries that give it: one pure function over candidates.

The order, in which nothing is ever taken in place of what was asked for:

1. the exact mixture (its ratio too: 1:1 unless asked), task, setup and label (none unless asked);
2. on the one base that has it, or on the base asked for; several and none asked is an error;
3. the newest version;
4. under a task adapter: the adapter with the digest that its manifest names, never one by name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from badx_hub.errors import IntegrityError, NotFoundError, UsageError
from badx_hub.languages import Mixture
from badx_hub.names import TA_ONLY as TA_ONLY
from badx_hub.names import AdapterName, base_slug
from badx_hub.registry.protocol import Entry, Problem, newest

BAD_X = "bad-x"
SETUPS = (BAD_X, TA_ONLY)

_SHOWN = 3
_DIGEST_PREFIX = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    `task` None: the language-side adapter itself. `base`: a slug, a Hub id, a folder or the first 8 or more
    digits of a base's digest. `setup`: "bad-x" (the TA stands on the adapter of this mixture) or "ta-only"
    (it stands on the base alone; the mixture's source language counts). `label` None: an unlabelled one.
    """

    mixture: Mixture
    task: str | None = None
    base: str | None = None
    setup: str = BAD_X
    label: str | None = None

    def __post_init__(self) -> None:
        if self.setup not in SETUPS:
            raise UsageError(f"The setup {self.setup!r} is not known. Choose one of: {', '.join(SETUPS)}.")
        if self.setup == TA_ONLY and self.task is None:
            raise UsageError("The setup ta-only is about a task adapter. Name its task (`--task pos`).")


@dataclass(frozen=True)
class Resolution:
    """What was found: the adapter asked for, and the one under it (None under a language-side or TA only)."""

    entry: Entry
    carrier: Entry | None


@dataclass(frozen=True)
class Near:
    """Something close to what was asked for: the entry, how it differs, and what to type to get it."""

    entry: Entry
    difference: str
    advice: str


def resolve(candidates: Sequence[Entry], wanted: Wanted, *, broken: Sequence[Problem] = ()) -> Resolution:
    """The entry that `wanted` means and the adapter under it.

    `broken` are the registry's problems: a newer version that cannot be read is an error, not a reason to
    take an older one. Raises NotFoundError (with the nearest there are and what to train), UsageError
    (several bases) and IntegrityError (unreadable newest version, parent on another base).
    """
    exact = [entry for entry in candidates if _same_adapter(entry.name, wanted)]
    matching = [entry for entry in exact if _on_base(entry, wanted.base)]
    _refuse_broken(matching, wanted, broken)
    if not matching:
        raise NotFoundError(_nothing_fits(candidates, wanted))
    _refuse_several_bases(matching, wanted)
    entry = newest(matching)
    return Resolution(entry, _carrier(entry, candidates))


def nearest(candidates: Sequence[Entry], wanted: Wanted) -> tuple[Near, ...]:
    """What comes closest, best first: another ratio, another label, another base, other languages.

    The newest version of each name; same task (or both language-side) and same setup only.
    """
    ranked: dict[AdapterName, tuple[int, Near]] = {}
    for entry in sorted(candidates, key=lambda entry: entry.version):
        if (found := _difference(entry, wanted)) is not None:
            ranked[entry.name] = found
    order = sorted(ranked, key=lambda name: (ranked[name][0], str(name)))
    return tuple(ranked[name][1] for name in order)


def train_command(wanted: Wanted) -> str:
    """The command that trains what is wanted, "badx-hub train en-wo --ratio 5:1 --task pos"."""
    plain = Mixture(tuple((language, 1) for language in wanted.mixture.languages))
    parts = ["badx-hub", "train", str(plain)]
    if wanted.mixture != plain and wanted.setup == BAD_X:
        parts += ["--ratio", ":".join(str(weight) for weight in wanted.mixture.weights)]
    if wanted.task is not None:
        parts += ["--task", wanted.task]
    if wanted.setup != BAD_X:
        parts += ["--setup", wanted.setup]
    if wanted.base is not None:
        parts += ["--base", wanted.base]
    if wanted.label is not None:
        parts += ["--label", wanted.label]
    return shlex.join(parts)


def _key(wanted: Wanted) -> tuple[Mixture, str | None]:
    """The mixture and the setup as names write them."""
    if wanted.setup == TA_ONLY:
        return Mixture(((wanted.mixture.source, 1),)), TA_ONLY
    return wanted.mixture, None


def _same_adapter(name: AdapterName, wanted: Wanted) -> bool:
    mixture, setup = _key(wanted)
    return (name.mixture, name.task, name.setup, name.label) == (mixture, wanted.task, setup, wanted.label)


def _on_base(entry: Entry, base: str | None) -> bool:
    if base is None or entry.name.base == base_slug(base):
        return True
    return _DIGEST_PREFIX.fullmatch(base) is not None and entry.manifest.base.digest.startswith(base)


def _refuse_broken(matching: Sequence[Entry], wanted: Wanted, broken: Sequence[Problem]) -> None:
    readable = {entry.name: entry.version for entry in sorted(matching, key=lambda entry: entry.version)}
    for problem in broken:
        name = problem.name
        if name is None or not _same_adapter(name, wanted):
            continue
        if wanted.base is not None and name.base != base_slug(wanted.base):
            continue
        if not matching or problem.version > readable.get(name, problem.version):
            raise IntegrityError(
                f"The newest version of {name} cannot be used: {problem.reason} "
                f"(`badx-hub remove '{name}'` takes it away.)"
            )


def _refuse_several_bases(matching: Sequence[Entry], wanted: Wanted) -> None:
    bases = {entry.manifest.base.digest: entry for entry in matching}
    if len(bases) < 2:
        return
    names = {entry.name.base: entry.manifest.base.name for entry in bases.values()}
    choices = sorted(names.values()) if len(names) == len(bases) else sorted(digest[:12] for digest in bases)
    flags = " or ".join(f"`--base {shlex.quote(choice)}`" for choice in choices)
    raise UsageError(f"{_title(wanted)} is there on {len(bases)} bases. Choose one: {flags}.")


def _carrier(entry: Entry, candidates: Sequence[Entry]) -> Entry | None:
    parent = entry.manifest.parent
    if parent is None:
        return None
    found = [other for other in candidates if other.manifest.digest == parent.digest and other.name.kind != "task"]
    if not found:
        name = AdapterName.parse(parent.name)
        train = train_command(Wanted(name.mixture, base=entry.manifest.base.name, label=name.label))
        raise NotFoundError(
            f"{entry.name} stands on {parent.name} with digest {parent.digest[:12]}, which is not here. "
            f"Get that very adapter (`badx-hub pull '{parent.name}'`), or train both anew (`{train}` first)."
        )
    carrier = newest(found)
    if carrier.manifest.base.digest != entry.manifest.base.digest:
        raise IntegrityError(
            f"{entry.name} and {carrier.name} under it were trained on different bases. "
            f"Remove {entry.name} and train it again."
        )
    return carrier


def _difference(entry: Entry, wanted: Wanted) -> tuple[int, Near] | None:
    name = entry.name
    mixture, setup = _key(wanted)
    if (name.task, name.setup) != (wanted.task, setup):
        return None
    flags: list[str] = []
    said: list[str] = []
    rank = 0
    if name.mixture.languages != mixture.languages:
        if not (step := _relation(name.mixture, mixture)):
            return None
        rank += 8 * step[0]
        said.append(step[1])
    elif name.mixture != mixture:
        rank += 1
        said.append("another ratio")
        flags.append("--ratio " + ":".join(str(weight) for weight in name.mixture.weights))
    if name.label != wanted.label:
        rank += 2
        said.append("another label" if name.label else "no label")
        flags += [f"--label {name.label}"] if name.label else []
    if not _on_base(entry, wanted.base):
        rank += 4
        said.append("another base")
        flags.append(f"--base {shlex.quote(entry.manifest.base.name)}")
    if not said:
        return None
    return rank, Near(entry, ", ".join(said), " ".join(flags) or str(name.mixture))


def _relation(other: Mixture, mixture: Mixture) -> tuple[int, str] | None:
    if other.targets == mixture.targets:
        return 1, "another source"
    if set(mixture.targets) <= set(other.targets):
        return 2, "more languages"
    if other.languages == mixture.languages[::-1]:
        return 3, "the other direction"
    return None


def _nothing_fits(candidates: Sequence[Entry], wanted: Wanted) -> str:
    base = f" on {wanted.base}" if wanted.base else ""
    near = nearest(candidates, wanted)[:_SHOWN]
    hint = ""
    if near:
        found = "; ".join(f"{one.entry.name} ({one.difference}: `{one.advice}`)" for one in near)
        hint = f" Nearest: {found}."
    return f"{_title(wanted)}{base} is not here.{hint} To train it: {_to_train(candidates, wanted)}."


def _to_train(candidates: Sequence[Entry], wanted: Wanted) -> str:
    under = Wanted(wanted.mixture, base=wanted.base, label=wanted.label)
    if wanted.task is None or wanted.setup == TA_ONLY or _is_there(candidates, under):
        return f"`{train_command(wanted)}`"
    return f"`{train_command(under)}`, then `{train_command(wanted)}`"


def _is_there(candidates: Sequence[Entry], wanted: Wanted) -> bool:
    return any(_same_adapter(entry.name, wanted) and _on_base(entry, wanted.base) for entry in candidates)


def _title(wanted: Wanted) -> str:
    label = f" (label {wanted.label})" if wanted.label else ""
    if wanted.task is None:
        return f"The {wanted.mixture.kind} adapter {wanted.mixture}{label}"
    if wanted.setup == TA_ONLY:
        return f"The {wanted.task} adapter trained on {wanted.mixture.source} alone{label}"
    return f"The {wanted.task} adapter for {wanted.mixture}{label}"
