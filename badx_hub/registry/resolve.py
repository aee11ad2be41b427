"""From what the user wants to the entries that give it: one pure function over candidates.

Candidates come in places, the nearest first: the user's own registry, what the Hub's cache holds, the Hub. The
order, in which nothing is ever taken in place of what was asked for:

1. the first place that has the exact mixture (its ratio too: 1:1 unless asked), task, setup and label (none unless
   asked); a place farther away is not even read then, so that what was pulled stays what is used; a setup whose
   adapters serve all the languages they were trained on (`Reach`) takes one with more languages, if there is one only;
2. there, on the one base that has it, or on the base asked for, and of the one namespace that publishes it;
   several and none asked is an error;
3. the newest version;
4. under a task adapter: the adapter with the digest that its manifest names, never one by name, from the first
   place that has it; where the setup swaps in the target's LA and the task adapter was not trained on it, the newest
   LA of the target on the same base and with the same label;
5. only if nothing fits: the same for the setup that `fallback` names. The resolution's `setup` says so.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from badx_hub.errors import IntegrityError, NotFoundError, UsageError
from badx_hub.languages import UNRELATED, Mixture, distance
from badx_hub.manifest import ParentRef
from badx_hub.names import AdapterName, base_slug
from badx_hub.registry.protocol import HUB, Entry, Problem, newest
from badx_hub.setups import DEFAULT, FALLBACKS, Carrier, Reach, Setup, setup_named

_SHOWN = 3
_HUB_OWNER = re.compile(rf"{HUB}(?P<owner>[^/@]+)/.+")
_SEED_LABEL = re.compile(r"seed(?P<seed>[0-9]+)")
_DIGEST_PREFIX = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    `task` None: the language-side adapter itself. `base`: a slug, a Hub id, a folder or the first 8 or more
    digits of a base's digest. `setup`: a name in `badx_hub.setups.SETUPS`; only a task adapter has another than
    the default. `label` None: an unlabelled one.
    """

    mixture: Mixture
    task: str | None = None
    base: str | None = None
    setup: str = DEFAULT
    label: str | None = None

    def __post_init__(self) -> None:
        if setup_named(self.setup).name != DEFAULT and self.task is None:
            raise UsageError(f"The setup {self.setup} is about a task adapter. Name its task (`--task pos`).")

    @property
    def how(self) -> Setup:
        """`setup`, as data."""
        return setup_named(self.setup)


@dataclass(frozen=True)
class Resolution:
    """What was found: the adapter asked for, and the one under it (None under a language-side or TA only).

    `setup` is what really serves: as wanted, or the fallback. The carrier is the one for inference.
    """

    entry: Entry
    carrier: Entry | None
    setup: str = DEFAULT

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The stack, the language-side adapter first."""
        return (self.entry,) if self.carrier is None else (self.carrier, self.entry)


@dataclass(frozen=True)
class Offer:
    """What one registry offers: entries, and what stands there and cannot be read.

    `unread` says, in a clause, why the registry as a whole could not be read.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...] = ()
    unread: str | None = None


@dataclass(frozen=True)
class Near:
    """Something close to what was asked for: the entry, how it differs, and what to type to get it."""

    entry: Entry
    difference: str
    advice: str


def resolve(
    candidates: Sequence[Entry], wanted: Wanted, *, broken: Sequence[Problem] = (), fallback: str | None = None
) -> Resolution:
    """`resolve_in_order` with a single place."""
    return resolve_in_order([Offer(tuple(candidates), tuple(broken))], wanted, fallback=fallback)


def resolve_in_order(places: Iterable[Offer], wanted: Wanted, *, fallback: str | None = None) -> Resolution:
    """The entry that `wanted` means and the adapter under it, from the first of `places` that has it.

    `places` may be lazy: none is drawn beyond those needed. A place's problems count where the adapter is looked
    for: a newer version that cannot be read is an error, not a reason to take an older one. Those on a Hub stop
    nobody (anybody can publish a broken one under any name) and are told of where nothing fits.

    Raises NotFoundError (with the nearest there are and what to train), UsageError (several bases or publishers,
    a fallback for what has none) and IntegrityError (unreadable newest version, parent on another base).
    """
    _check_fallback(fallback, wanted)
    seen: list[Offer] = []
    entry: Entry | None = None
    reason = ""
    for place in places:
        seen.append(place)
        if place.unread is not None:
            break
        entry = entry or _choose(place, wanted)
        if entry is None:
            continue
        if (under := _under(entry, wanted)) is None:
            return Resolution(entry, None, wanted.setup)
        if (carrier := _carrier(entry, under, seen)) is not None:
            return Resolution(entry, carrier, wanted.setup)
        reason = _no_carrier(entry, under)
    pool = [one for place in seen for one in place.entries]
    reason = reason or _nothing_fits(pool, wanted)
    if fallback is not None:
        return _fall_back(seen, replace(wanted, setup=fallback), reason)
    raise NotFoundError(reason + _unread(seen, wanted))


def nearest(candidates: Sequence[Entry], wanted: Wanted) -> tuple[Near, ...]:
    """What comes closest, best first: another ratio, another label, another base, other languages.

    Other languages: another source for the same target, more languages, a target that is related to the wanted one
    (by `badx_hub.languages.distance`), the other direction.

    The newest version of each name; same task (or both language-side) and same setup only.
    """
    ranked: dict[AdapterName, tuple[float, Near]] = {}
    for entry in sorted(candidates, key=lambda entry: entry.version):
        if (found := _difference(entry, wanted)) is not None:
            ranked[entry.name] = found
    order = sorted(ranked, key=lambda name: (ranked[name][0], str(name)))
    return tuple(ranked[name][1] for name in order)


def relation(name: AdapterName, wanted: Wanted) -> float | None:
    """How near other languages than the wanted ones are, lower is nearer; None if they are not worth naming."""
    mixture, setup = _key(wanted)
    if (name.task, name.setup) != (wanted.task, setup) or (found := _relation(name.mixture, mixture)) is None:
        return None
    return found[0]


def train_command(wanted: Wanted) -> str:
    """The command that trains what is wanted, "badx-hub train en-wo --ratio 5:1 --task pos"."""
    plain = Mixture(tuple((language, 1) for language in wanted.mixture.languages))
    parts = ["badx-hub", "train", str(plain)]
    if wanted.mixture != plain and wanted.how.mixture(wanted.mixture) == wanted.mixture:
        parts += ["--ratio", ":".join(str(weight) for weight in wanted.mixture.weights)]
    if wanted.task is not None:
        parts += ["--task", wanted.task]
    if wanted.setup != DEFAULT:
        parts += ["--setup", wanted.setup]
    if wanted.base is not None:
        parts += ["--base", wanted.base]
    if wanted.label is not None:
        # A seed that is not the default makes the label; the label alone would not make the seed.
        seed = _SEED_LABEL.fullmatch(wanted.label)
        parts += ["--seed", seed["seed"]] if seed else ["--label", wanted.label]
    return shlex.join(parts)


def _key(wanted: Wanted) -> tuple[Mixture, str | None]:
    """The mixture and the setup as names write them."""
    return wanted.how.mixture(wanted.mixture), wanted.how.mark


def is_exactly(name: AdapterName, wanted: Wanted) -> bool:
    """Whether `wanted` means the adapter of that name, whatever its base."""
    alike = (name.task, name.setup, name.label) == (wanted.task, wanted.how.mark, wanted.label)
    return alike and wanted.how.serves(name.mixture, wanted.mixture)


def is_base(slug: str, digest: str, asked: str | None) -> bool:
    """Whether the base with this slug and digest is the one asked for: by name, by digits of its digest, or any."""
    if asked is None or slug == base_slug(asked):
        return True
    return _DIGEST_PREFIX.fullmatch(asked) is not None and digest.startswith(asked)


def _on_base(entry: Entry, base: str | None) -> bool:
    return is_base(entry.name.base, entry.manifest.base.digest, base)


def _refuse_broken(matching: Sequence[Entry], wanted: Wanted, broken: Sequence[Problem]) -> None:
    readable = {entry.name: entry.version for entry in sorted(matching, key=lambda entry: entry.version)}
    for problem in broken:
        name = problem.name
        if name is None or not is_exactly(name, wanted) or _owner(problem.location) is not None:
            continue
        if wanted.base is not None and name.base != base_slug(wanted.base):
            continue
        if not matching or problem.version > readable.get(name, problem.version):
            raise IntegrityError(
                f"The newest version of {name} cannot be used: {problem.reason} "
                f"(`badx-hub remove '{name}'` takes it away.)"
            )


def _check_fallback(fallback: str | None, wanted: Wanted) -> None:
    if fallback is None:
        return
    if fallback not in FALLBACKS:
        raise UsageError(f"There is no fallback {fallback!r}. Known: {', '.join(FALLBACKS)}.")
    if wanted.task is None or wanted.setup != DEFAULT or wanted.mixture.kind != "bilingual":
        raise UsageError(f"The fallback {fallback} is for the task adapter of a pair, such as en-wo with task pos.")


def _choose(place: Offer, wanted: Wanted) -> Entry | None:
    """The newest entry of `place` that is exactly what is wanted."""
    matching = [one for one in place.entries if is_exactly(one.name, wanted) and _on_base(one, wanted.base)]
    _refuse_broken(matching, wanted, place.problems)
    if not matching:
        return None
    exact = [one for one in matching if one.name.mixture == _key(wanted)[0]]
    matching = exact or matching
    _refuse_several_mixtures(matching, wanted)
    _refuse_several_bases(matching, wanted)
    _refuse_several_owners(matching, wanted)
    return newest(matching)


def _first(places: Sequence[Offer], wanted: Wanted) -> Entry | None:
    return next((found for place in places if (found := _choose(place, wanted)) is not None), None)


def _fall_back(places: Sequence[Offer], wanted: Wanted, reason: str) -> Resolution:
    """What the fallback's setup gives. Raises NotFoundError that says all that is missing."""
    try:
        return resolve_in_order(places, wanted)
    except NotFoundError as error:
        entry = _first(places, wanted)
        base = entry.manifest.base if entry else None
        pool = [one for place in places for one in place.entries]
        missing = _missing(pool, replace(wanted, base=base.digest if base else wanted.base))
        commands = [train_command(replace(one, base=base.name if base else wanted.base)) for one in missing]
        raise NotFoundError(
            f"{reason} The fallback {wanted.setup} lacks adapters too: "
            f"{', then '.join(f'`{command}`' for command in commands)}.{_unread(places, wanted)}"
        ) from error


def _unread(places: Sequence[Offer], wanted: Wanted) -> str:
    """What to add to an error where not everything could be looked into."""
    problems = [one for place in places for one in place.problems if one.name and is_exactly(one.name, wanted)]
    broken = [f" Not readable: {problem.reason}" for problem in problems[:_SHOWN]]
    return "".join([*broken, *(f" Not looked into: {place.unread}" for place in places if place.unread is not None)])


def _owner(location: str) -> str | None:
    """The namespace on the Hub that publishes what is at a location; None for one that is not on a Hub."""
    found = _HUB_OWNER.fullmatch(location)
    return found["owner"] if found else None


def _refuse_several_owners(matching: Sequence[Entry], wanted: Wanted) -> None:
    """Anybody can publish under a name: whose adapter it is to be is never guessed."""
    owners = sorted({owner for entry in matching if (owner := _owner(entry.location)) is not None})
    if len(owners) > 1:
        choices = " or ".join(f"`hf:{owner}`" for owner in owners[:_SHOWN])
        raise UsageError(
            f"{_title(wanted)} is published by {len(owners)} namespaces. "
            f"Say whose, as the registry: {choices} (`--registry`, or registry= in Python)."
        )


def _refuse_several_bases(matching: Sequence[Entry], wanted: Wanted) -> None:
    bases = {entry.manifest.base.digest: entry for entry in matching}
    if len(bases) < 2:
        return
    names = {entry.name.base: entry.manifest.base.name for entry in bases.values()}
    choices = sorted(names.values()) if len(names) == len(bases) else sorted(digest[:12] for digest in bases)
    flags = " or ".join(f"`--base {shlex.quote(choice)}`" for choice in choices)
    raise UsageError(f"{_title(wanted)} is there on {len(bases)} bases. Choose one: {flags}.")


def _under(entry: Entry, wanted: Wanted) -> ParentRef | Wanted | None:
    """What carries `entry` at inference: an adapter it was trained on, or the LA of the target; None: nothing."""
    if wanted.how.inference is not Carrier.TARGET:
        return entry.manifest.parent
    target = target_of(wanted)
    trained_on = {AdapterName.parse(ref.name).mixture: ref for ref in entry.manifest.carriers}
    return trained_on.get(target) or Wanted(target, base=entry.manifest.base.digest, label=wanted.label)


def target_of(wanted: Wanted) -> Mixture:
    """The one target of what is wanted, as the mixture of its LA. Raises UsageError if there are several."""
    if len(wanted.mixture.targets) > 1:
        raise UsageError(
            f"The setup {wanted.setup} puts the adapter of one target under the task adapter, and {wanted.mixture} "
            f"has {len(wanted.mixture.targets)}. Name a pair, such as {pair_of(wanted.mixture)}."
        )
    return Mixture(((wanted.mixture.targets[0], 1),))


def pair_of(mixture: Mixture) -> Mixture:
    """The source and the first target."""
    return Mixture(tuple((language, 1) for language in mixture.languages[:2]))


def _carrier(entry: Entry, under: ParentRef | Wanted, places: Sequence[Offer]) -> Entry | None:
    if isinstance(under, Wanted):
        return _first(places, under)
    for place in places:
        same = [one for one in place.entries if one.manifest.digest == under.digest and one.name.task is None]
        if same:
            return _on_same_base(newest(same), entry)
    return None


def _on_same_base(carrier: Entry, entry: Entry) -> Entry:
    if carrier.manifest.base.digest != entry.manifest.base.digest:
        raise IntegrityError(
            f"{entry.name} and {carrier.name} under it were trained on different bases. "
            f"Remove {entry.name} and train it again."
        )
    return carrier


def _no_carrier(entry: Entry, under: ParentRef | Wanted) -> str:
    if isinstance(under, Wanted):
        train = train_command(replace(under, base=entry.manifest.base.name))
        return f"{_title(under)}, on which {entry.name} would stand, is not here. To train it: `{train}`."
    name = AdapterName.parse(under.name)
    train = train_command(Wanted(name.mixture, base=entry.manifest.base.name, label=name.label))
    return (
        f"{entry.name} stands on {under.name} with digest {under.digest[:12]}, which is not here. "
        f"Get that very adapter (`badx-hub pull '{under.name}' --from ORG`, or --from ./DIR), "
        f"or train both anew (`{train}` first)."
    )


def _difference(entry: Entry, wanted: Wanted) -> tuple[float, Near] | None:
    name = entry.name
    mixture, setup = _key(wanted)
    if (name.task, name.setup) != (wanted.task, setup):
        return None
    flags: list[str] = []
    said: list[str] = []
    rank = 0.0
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


def _relation(other: Mixture, mixture: Mixture) -> tuple[float, str] | None:
    if other.targets == mixture.targets:
        return 1, "another source"
    if set(mixture.targets) <= set(other.targets):
        return 2, "more languages"
    if (far := _target_distance(other, mixture)) < UNRELATED:
        return 3 + far / (2 * UNRELATED), "a related target"
    if other.languages == mixture.languages[::-1]:
        return 4, "the other direction"
    return None


def _target_distance(other: Mixture, mixture: Mixture) -> int:
    """Between the targets of two mixtures of one target; of mixtures that differ in more: UNRELATED."""
    alike = other.kind == mixture.kind and len(mixture.targets) == 1
    if not alike or (mixture.kind != "language" and other.source != mixture.source):
        return UNRELATED
    return distance(mixture.targets[0], other.targets[0])


def _nothing_fits(candidates: Sequence[Entry], wanted: Wanted) -> str:
    base = f" on {wanted.base}" if wanted.base else ""
    near = nearest(candidates, wanted)[:_SHOWN]
    hint = ""
    if near:
        found = "; ".join(f"{one.entry.name} ({one.difference}: `{one.advice}`)" for one in near)
        hint = f" Nearest: {found}."
    return f"{_title(wanted)}{base} is not here.{hint} To train it: {_to_train(candidates, wanted)}."


def _to_train(candidates: Sequence[Entry], wanted: Wanted) -> str:
    return ", then ".join(f"`{command}`" for command in training_commands(candidates, wanted))


def training_commands(candidates: Sequence[Entry], wanted: Wanted) -> tuple[str, ...]:
    """What to type, in order, to get what is wanted: first the carriers, of training and of inference, not yet there.

    An MA is written with `LANG` for the languages that a pair does not say.
    """
    if wanted.task is not None and wanted.how.reach is Reach.WIDER and wanted.mixture.kind != "multilingual":
        return tuple(_with_more_languages(train_command(one), wanted) for one in (_language_side(wanted), wanted))
    return tuple(train_command(one) for one in _missing(candidates, wanted))


def _missing(candidates: Sequence[Entry], wanted: Wanted) -> list[Wanted]:
    """What is wanted and the carriers it needs, in the order of training, as far as they are not there."""
    mixtures = [] if wanted.task is None else [*wanted.how.carriers(wanted.mixture)]
    if wanted.how.inference is Carrier.TARGET:
        mixtures.append(target_of(wanted))
    under = [replace(_language_side(wanted), mixture=mixture) for mixture in dict.fromkeys(mixtures)]
    return [one for one in (*under, wanted) if not _is_there(candidates, one)]


def _language_side(wanted: Wanted) -> Wanted:
    return Wanted(wanted.mixture, base=wanted.base, label=wanted.label)


def _with_more_languages(command: str, wanted: Wanted) -> str:
    return command.replace(f" {wanted.mixture}", f" {'+'.join(wanted.mixture.languages)}+LANG", 1)


def _refuse_several_mixtures(matching: Sequence[Entry], wanted: Wanted) -> None:
    mixtures = sorted({entry.name.mixture for entry in matching})
    if len(mixtures) > 1:
        raise UsageError(
            f"{_title(wanted)} is there for {len(mixtures)} sets of languages. "
            f"Name one in place of {wanted.mixture}: {' or '.join(map(str, mixtures[:_SHOWN]))}."
        )


def _is_there(candidates: Sequence[Entry], wanted: Wanted) -> bool:
    return any(is_exactly(entry.name, wanted) and _on_base(entry, wanted.base) for entry in candidates)


def _title(wanted: Wanted) -> str:
    label = f" (label {wanted.label})" if wanted.label else ""
    if wanted.task is None:
        return f"The {wanted.mixture.kind} adapter {wanted.mixture}{label}"
    if wanted.setup == DEFAULT:
        return f"The {wanted.task} adapter for {wanted.mixture}{label}"
    if wanted.how.training is None:
        return f"The {wanted.task} adapter trained on {wanted.mixture.source} alone{label}"
    return f"The {wanted.task} adapter of setup {wanted.setup} for {wanted.mixture}{label}"
