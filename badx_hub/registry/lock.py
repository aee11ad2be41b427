"""badx.lock: the exact versions of the adapters in a stack, so that every machine loads the same."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from typing_extensions import Self

from badx_hub.control_characters import steering
from badx_hub.errors import DataError, HubError, IntegrityError, NotFoundError, UsageError
from badx_hub.hub.ref import HubRef
from badx_hub.json_toml_yaml import read_toml
from badx_hub.languages import Mixture
from badx_hub.manifest import read_manifest_text
from badx_hub.manifest_fields import Digest, Schema, Text, Word
from badx_hub.names import AdapterName
from badx_hub.process_locks import exclusive
from badx_hub.registry.chain import HUB_CACHE, RegistryChain, Where, find, open_chain
from badx_hub.registry.protocol import Entry
from badx_hub.registry.query import AdapterQuery, is_base
from badx_hub.registry.resolve import Resolution
from badx_hub.remedies import Advice, PullAdapter, WriteLock, one_of
from badx_hub.setups import setup_named
from badx_hub.storage import atomic_write_text, storage_errors
from badx_hub.user_paths import user_path

SCHEMA = 1
MAX_LOCK_BYTES = 2**20

_HEADER = (
    "# Written by `badx-hub lock`. load_bilingual_stack(..., lock=...) loads exactly these versions or says why not.\n"
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LockedBase(_Frozen):
    """The base: its name, for people, and the sha256 over its weights."""

    name: Text
    digest: Digest


class LockedAdapter(_Frozen):
    """One version of one adapter.

    `digest` is that of the weights, `manifest` the sha256 of badx.json (labels and recipe). `registry` is what
    `open_registry` opens (None: the user's own) and `commit` that of the Hub's repository, where it was found there.
    """

    name: Text
    version: Annotated[str, StringConstraints(pattern=r"\A[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}\z")]
    digest: Digest
    manifest: Digest
    registry: Text | None = None
    commit: Annotated[str, StringConstraints(pattern=r"\A(?:[0-9a-f]{40}|[0-9a-f]{64})\z")] | None = None


class LockedStack(_Frozen):
    """The stack for a pair and a task: its adapters, the language adapter first, and their base.

    `asked` is the setup that was asked for, where `setup`, a fallback, serves in its place.
    """

    pair: Text
    task: Word
    setup: Word
    asked: Word | None = None
    base: LockedBase
    adapters: Annotated[tuple[LockedAdapter, ...], Field(min_length=1, max_length=2)]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if str(Mixture.parse(self.pair)) != self.pair:
            raise ValueError(f"pair {self.pair!r} is not written as {Mixture.parse(self.pair)}")
        names = [AdapterName.parse(adapter.name) for adapter in self.adapters]
        if names[-1].task != self.task or any(name.task for name in names[:-1]):
            raise ValueError(f"the adapters of {self.pair} are not a stack with a task adapter for {self.task} on top")
        if (setup_named(self.setup).inference is None) != (len(names) == 1):
            raise ValueError(f"setup {self.setup} does not have {len(names)} adapter(s)")
        return self

    @property
    def name(self) -> AdapterName:
        """The task adapter's name."""
        return AdapterName.parse(self.adapters[-1].name)

    def serves(self, query: AdapterQuery) -> bool:
        """Whether this is a stack for `query`; a lock on the fallback serves who asks for the pair."""
        asked = (str(query.mixture), query.task, query.setup, query.label)
        is_meant = asked == (self.pair, self.task, self.asked or self.setup, self.name.label)
        return is_meant and is_base(self.name.base, (self.base.digest,), query.base)


class Lock(_Frozen):
    """The content of badx.lock: any number of stacks."""

    schema_version: Schema = 1
    stacks: Annotated[tuple[LockedStack, ...], Field(max_length=1000)] = ()

    @classmethod
    def read(cls, path: str | Path) -> Lock:
        """Raises NotFoundError, DataError (malformed), IntegrityError (written by a later badx_hub)."""
        path = user_path(path)
        with storage_errors(path):
            if not path.is_file():
                raise NotFoundError(f"There is no lock file {path}.", remedies=(WriteLock("en-wo", "pos"),))
            if path.stat().st_size > MAX_LOCK_BYTES:
                raise DataError(f"{path} is no lock file: it has more than 1 MiB.", remedies=(WriteLock(),))
            content = path.read_bytes()
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: bytes, where: str) -> Lock:
        """Parse and check the text of a lock file; errors call it `where` and are those of `read`."""
        try:
            value = read_toml(content, where, limit=MAX_LOCK_BYTES)
        except DataError as error:
            raise DataError(error.fact, remedies=(*error.remedies, WriteLock())) from error
        version = value.get("schema_version")
        if isinstance(version, int) and version > SCHEMA:
            raise IntegrityError(
                f"{where} has schema {version} and this badx_hub reads up to {SCHEMA}: "
                "update badx_hub (`pip install -U badx-hub`)."
            )
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            reason = " ".join(first["msg"].removeprefix("Value error, ").split())[:300]
            raise DataError(f"{where} is not a valid lock file: {place}: {reason}.", remedies=(WriteLock(),)) from error

    def with_stack(self, stack: LockedStack) -> Lock:
        """With `stack` in place of the one for the same pair, task, setup asked for, label and base."""
        kept = [one for one in self.stacks if _key(one) != _key(stack)]
        return Lock(stacks=tuple(sorted([*kept, stack], key=_key)))

    def find(self, query: AdapterQuery, where: str) -> LockedStack:
        """The one stack for `query`. Raises NotFoundError, and UsageError if it is locked on several bases."""
        found = [stack for stack in self.stacks if stack.serves(query)]
        if not found:
            there = ", ".join(f"{stack.name} for {stack.pair}" for stack in self.stacks) or "nothing"
            raise NotFoundError(
                f"{where} locks {there}, but no {query.task} stack for {query.mixture}.",
                remedies=(WriteLock(str(query.mixture), query.task, where),),
            )
        if len(found) > 1:
            raise UsageError(
                f"{where} locks {query.mixture} on {len(found)} bases.",
                remedies=(one_of("Choose one", "base", [stack.base.name for stack in found]),),
            )
        return found[0]

    def to_toml(self) -> str:
        """The text of badx.lock; `parse` reads it back."""
        lines = [_HEADER, f"schema_version = {self.schema_version}"]
        for stack in self.stacks:
            lines += ["", "[[stacks]]", *_pairs(stack.model_dump(exclude={"base", "adapters"}))]
            lines += ["", "[stacks.base]", *_pairs(stack.base.model_dump())]
            for adapter in stack.adapters:
                lines += ["", "[[stacks.adapters]]", *_pairs(adapter.model_dump())]
        return "\n".join(lines) + "\n"


def lock_stack(
    query: AdapterQuery, resolution: Resolution, chain: RegistryChain, *, registry: str | None = None
) -> LockedStack:
    """What a lock file says of a resolution; every file is fetched and verified first.

    `registry`: the registry that was named, if one was; adapters found on the Hub name their namespace themselves.
    Raises IntegrityError if a file is not what its manifest says, and UsageError for a registry that no lock can name.
    """
    if registry is not None and (found := steering(registry)) is not None:
        raise UsageError(f"{registry!r} cannot be locked: its name has the control character {found}. Rename it.")
    base = resolution.entry.manifest.base
    return LockedStack(
        pair=str(query.mixture),
        task=str(query.task),
        setup=resolution.setup,
        asked=None if resolution.setup == query.setup else query.setup,
        base=LockedBase(name=base.name, digest=base.digest),
        adapters=tuple(_locked(entry, chain, registry) for entry in resolution.entries),
    )


def write_lock(path: Path, stack: LockedStack) -> Lock:
    """Add `stack` to the lock file, which is made if there is none. Raises as `Lock.read`, and StorageError."""
    with exclusive(_guard(path)):  # Another process may be adding another stack.
        known = Lock.read(path) if path.exists() else Lock()
        lock = known.with_stack(stack)
        atomic_write_text(path, lock.to_toml())
    return lock


def _guard(path: Path) -> Path:
    """One of 16 files that are locked while a lock file is changed: none is left beside it, and they do not pile up."""
    with storage_errors(path):
        digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"badx-hub-locks-{user}" / digest[0]


def locked(
    path: str | Path, query: AdapterQuery, where: Where = None, *, offline: bool = False
) -> tuple[RegistryChain, Resolution]:
    """Exactly what the lock file says for `query`, and the registries that have it.

    Each adapter is looked for in `where`, if given, else in the registry that the lock names, the user's own before it;
    wherever it is found, version, digests and base have to be those of the lock.

    Raises NotFoundError (not locked, or nowhere to be found), IntegrityError (something else under that version),
    and what `Lock.read` raises.
    """
    stack = Lock.read(path).find(query, str(path))
    chain = open_chain(_registries(stack) if where is None else where, offline=offline)
    entries = tuple(_exactly(adapter, stack, chain, str(path)) for adapter in stack.adapters)
    return chain, Resolution(entries[-1], entries[0] if len(entries) > 1 else None, stack.setup)


def resolved(
    query: AdapterQuery,
    where: Where = None,
    *,
    lock: str | Path | None = None,
    fallback: str | None = None,
    offline: bool = False,
) -> tuple[RegistryChain, Resolution]:
    """What `load_bilingual_stack` would load, and the registries that have it; nothing is loaded yet.

    Arguments (`where` is its `registry`) and errors are its.
    """
    if lock is not None:
        return locked(lock, query, where, offline=offline)
    chain = open_chain(where, offline=offline)
    return chain, find(chain, query, fallback=fallback)


def _key(stack: LockedStack) -> tuple[str, str, str, str, str]:
    return stack.pair, stack.task, stack.asked or stack.setup, stack.name.label or "", stack.base.digest


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]


def _toml(text: str) -> str:
    # Strings in JSON and TOML differ in one character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _locked(entry: Entry, chain: RegistryChain, registry: str | None) -> LockedAdapter:
    manifest = _manifest_digest(entry, chain)
    if faults := chain.verify(entry).faults:
        raise IntegrityError(
            f"{entry.name} {entry.version} is damaged ({faults[0].name}: {faults[0].state}). "
            "Remove it and pull or train it again."
        )
    return LockedAdapter(
        name=str(entry.name),
        version=entry.version,
        digest=entry.manifest.digest,
        manifest=manifest,
        registry=str(HubRef(entry.place.owner)) if entry.place else registry,
        commit=entry.place.commit if entry.place else None,
    )


def _manifest_digest(entry: Entry, chain: RegistryChain) -> str:
    return hashlib.sha256(read_manifest_text(chain.fetch(entry)).encode()).hexdigest()


def _registries(stack: LockedStack) -> list[str | None]:
    """The user's own and the Hub's cache come first, as they have what was pulled from a locked registry."""
    return list(dict.fromkeys([None, HUB_CACHE, *(adapter.registry for adapter in stack.adapters)]))


def _exactly(adapter: LockedAdapter, stack: LockedStack, chain: RegistryChain, where: str) -> Entry:
    entry = _get(adapter, chain, where)
    if entry.manifest.digest != adapter.digest or _manifest_digest(entry, chain) != adapter.manifest:
        raise IntegrityError(
            f"{where} locks {adapter.name} {adapter.version} with weights {adapter.digest[:12]}, but {entry.location} "
            f"has another adapter under that version ({entry.manifest.digest[:12]}). Get the locked one again."
        )
    if entry.manifest.base.digest != stack.base.digest:
        raise IntegrityError(
            f"{where} locks {stack.pair} on base {stack.base.name} ({stack.base.digest[:12]}), but {adapter.name} "
            f"was trained on {entry.manifest.base.digest[:12]}.",
            remedies=(WriteLock(),),
        )
    return entry


def _get(adapter: LockedAdapter, chain: RegistryChain, where: str) -> Entry:
    """By version, or by commit where a Hub does not list that version (any more)."""
    try:
        try:
            return chain.get(adapter.name, adapter.version)
        except NotFoundError:
            if adapter.commit is None:
                raise
            return chain.get(adapter.name, adapter.commit)
    except (NotFoundError, HubError) as error:
        commit = f" (commit {adapter.commit[:12]})" if adapter.commit else ""
        raise NotFoundError(
            f"{where} locks {adapter.name} {adapter.version}{commit}, which was not found: {error.fact}",
            remedies=(*error.remedies, PullAdapter(adapter.name, adapter.registry), Advice("Or write the lock again.")),
        ) from error
