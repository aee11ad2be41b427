from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.control_characters import steering
from badx_hub.errors import BadxError, DataError, IntegrityError, NotFoundError, UsageError
from badx_hub.languages import Mixture
from badx_hub.registry import AdapterQuery, Entry, LocalRegistry, VerificationReport
from badx_hub.registry.chain import RegistryChain
from badx_hub.registry.lock import (
    Lock,
    LockedAdapter,
    LockedBase,
    LockedStack,
    lock_stack,
    locked,
    resolved,
    write_lock,
)
from tests.refusals import refused
from tests.registry.conftest import Put

WANTED = AdapterQuery(Mixture.parse("en-wo"), "pos")
STACK = LockedStack(
    pair="en-wo",
    task="pos",
    setup="bad-x",
    base=LockedBase(name="bert-base-multilingual-cased", digest="b" * 64),
    adapters=(
        LockedAdapter(name="mbert/en-wo", version=f"20260101T000000Z-{'0' * 12}", digest="1" * 64, manifest="2" * 64),
        LockedAdapter(
            name="mbert/en-wo/pos",
            version=f"20260102T000000Z-{'0' * 12}",
            digest="3" * 64,
            manifest="4" * 64,
            registry="hf:org",
            commit="a" * 40,
        ),
    ),
)
TEXT = """\
# Written by `badx-hub lock`. load_bilingual_stack(..., lock=...) loads exactly these versions or says why not.

schema_version = 1

[[stacks]]
pair = "en-wo"
task = "pos"
setup = "bad-x"

[stacks.base]
name = "bert-base-multilingual-cased"
digest = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

[[stacks.adapters]]
name = "mbert/en-wo"
version = "20260101T000000Z-000000000000"
digest = "1111111111111111111111111111111111111111111111111111111111111111"
manifest = "2222222222222222222222222222222222222222222222222222222222222222"

[[stacks.adapters]]
name = "mbert/en-wo/pos"
version = "20260102T000000Z-000000000000"
digest = "3333333333333333333333333333333333333333333333333333333333333333"
manifest = "4444444444444444444444444444444444444444444444444444444444444444"
registry = "hf:org"
commit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
"""


@pytest.fixture
def stack(put: Put) -> tuple[Entry, Entry]:
    ba = put("mbert/en-wo", weights=1.0)
    return ba, put("mbert/en-wo/pos", on=ba, weights=2.0)


@pytest.fixture
def lock(stack: tuple[Entry, Entry], registry: LocalRegistry, tmp_path: Path) -> Path:
    """A lock on the stack."""
    path = tmp_path / "badx.lock"
    chain, resolution = resolved(WANTED, registry)
    write_lock(path, lock_stack(WANTED, resolution, chain, registry=str(registry.root)))
    return path


def test_the_whole_file() -> None:
    lock = Lock(stacks=(STACK,))
    assert lock.to_toml() == TEXT
    assert Lock.parse(TEXT.encode(), "badx.lock") == lock


@given(
    st.text(min_size=1, max_size=50).filter(str.isprintable),
    st.text(max_size=9).filter(lambda text: steering(text) is None and text == text.encode(errors="ignore").decode()),
)
def test_any_text_is_read_back(name: str, registry: str) -> None:
    base = STACK.base.model_copy(update={"name": name})
    first = STACK.adapters[0].model_copy(update={"registry": f"x{registry}"})
    lock = Lock(stacks=(STACK.model_copy(update={"base": base, "adapters": (first, STACK.adapters[1])}),))
    assert Lock.parse(lock.to_toml().encode(), "x") == lock


def test_what_was_locked_is_found_again(
    lock: Path, stack: tuple[Entry, Entry], registry: LocalRegistry, put: Put
) -> None:
    for _ in range(2):
        chain, found = locked(lock, WANTED)
        assert (found.entries, found.setup) == (stack, "bad-x")
        assert chain.fetch(stack[1]) == Path(stack[1].location)
        put("mbert/en-wo/pos", on=stack[0], weights=5.0, created="2026-03-03T00:00:00Z")
    assert resolved(WANTED, registry)[1].entry != stack[1]
    assert resolved(WANTED, registry, lock=lock)[1].entry == stack[1]


def test_a_copy_in_ones_own_registry_will_do(lock: Path, stack: tuple[Entry, Entry], home: Path) -> None:
    registry = Path(stack[0].location).parent.parent
    own = home / "registry"
    own.parent.mkdir(exist_ok=True)
    registry.rename(own)
    _, found = locked(lock, WANTED)
    assert [Path(entry.location).parent.parent for entry in found.entries] == [own, own]


def test_what_is_gone_is_refused(lock: Path, stack: tuple[Entry, Entry], registry: LocalRegistry, put: Put) -> None:
    put("mbert/en-wo/pos", on=stack[0], weights=2.0, created="2026-03-03T00:00:00Z")
    registry.remove(stack[1])
    with refused(NotFoundError, rf"locks mbert/en-wo/pos {stack[1].version}.*badx-hub pull"):
        locked(lock, WANTED)


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        ("digest", IntegrityError, "another adapter under that version"),
        ("manifest", IntegrityError, "another adapter under that version"),
        ("base", IntegrityError, "was trained on"),
        ("version", NotFoundError, "was not found"),
    ],
)
def test_something_else_than_what_is_locked_is_refused(
    lock: Path, stack: tuple[Entry, Entry], line: str, error: type[BadxError], says: str
) -> None:
    known = Lock.read(lock).stacks[0]
    if line == "base":
        changed = known.model_copy(update={"base": known.base.model_copy(update={"digest": "f" * 64})})
    else:
        value = "f" * 64 if line != "version" else f"20260101T000000Z-{'f' * 12}"
        first = known.adapters[0].model_copy(update={line: value})
        changed = known.model_copy(update={"adapters": (first, known.adapters[1])})
    lock.write_text(Lock(stacks=(changed,)).to_toml())
    with pytest.raises(error, match=says):
        locked(lock, WANTED)


def test_damaged_files_are_not_locked(stack: tuple[Entry, Entry], registry: LocalRegistry) -> None:
    (Path(stack[0].location) / "adapter.safetensors").write_bytes(b"x")
    chain, resolution = resolved(WANTED, registry)
    with pytest.raises(IntegrityError, match=r"mbert/en-wo .* is damaged"):
        lock_stack(WANTED, resolution, chain)


def test_what_lies_on_a_hub_is_locked_with_its_commit(stack: tuple[Entry, Entry], registry: LocalRegistry) -> None:
    class OnHub(RegistryChain):
        """The registry, as if each entry were at a commit on a Hub."""

        def fetch(self, entry: Entry) -> Path:
            return registry.root / entry.name.repo_name / entry.version

        def verify(self, entry: Entry) -> VerificationReport:
            return registry.verify(entry)

    _, found = resolved(WANTED, registry)
    task = replace(found.entry, location=f"hf:org/mbert.en-wo.pos@{'c' * 40}")
    written = lock_stack(WANTED, replace(found, entry=task), OnHub((registry,)), registry="hf:")
    assert [(one.registry, one.commit) for one in written.adapters] == [("hf:", None), ("hf:org", "c" * 40)]


def test_a_file_holds_several_stacks_and_replaces_its_own(
    lock: Path, stack: tuple[Entry, Entry], registry: LocalRegistry, put: Put
) -> None:
    only = put("mbert/en/pos@ta-only")
    query = AdapterQuery(Mixture.parse("en-wo"), "pos", setup="ta-only")
    newer = put("mbert/en-wo/pos", on=stack[0], weights=5.0, created="2026-03-03T00:00:00Z")
    for asked in (query, WANTED):
        chain, resolution = resolved(asked, registry)
        write_lock(lock, lock_stack(asked, resolution, chain, registry=str(registry.root)))
    assert len(Lock.read(lock).stacks) == 2
    assert locked(lock, query)[1].entries == (only,)
    assert locked(lock, WANTED)[1].entry == newer


def test_the_fallback_is_locked_as_what_it_is(registry: LocalRegistry, put: Put, tmp_path: Path) -> None:
    en, wo = put("mbert/en", weights=1.0), put("mbert/wo", weights=2.0)
    task, path = put("mbert/en/pos", on=en), tmp_path / "badx.lock"
    chain, resolution = resolved(WANTED, registry, fallback="mad-x")
    write_lock(path, lock_stack(WANTED, resolution, chain, registry=str(registry.root)))
    _, found = locked(path, WANTED)
    assert (found.entries, found.setup) == ((wo, task), "mad-x")


@pytest.mark.parametrize("query", ["en-fo", "en-wo@5:1", "wo-en"])
def test_a_pair_that_is_not_locked(lock: Path, query: str) -> None:
    with refused(NotFoundError, rf"no pos stack for {query}.*badx-hub lock {query}"):
        locked(lock, AdapterQuery(Mixture.parse(query), "pos"))


def test_several_bases_in_a_lock() -> None:
    other = STACK.model_copy(
        update={
            "base": LockedBase(name="xlm-roberta-base", digest="c" * 64),
            "adapters": tuple(
                one.model_copy(update={"name": one.name.replace("mbert", "xlmr-base")}) for one in STACK.adapters
            ),
        }
    )
    lock = Lock(stacks=(STACK,)).with_stack(other)
    with refused(UsageError, "--base xlm-roberta-base"):
        lock.find(WANTED, "badx.lock")
    for base, found in (("xlm-roberta-base", other), ("mbert", STACK), ("c" * 12, other)):
        assert lock.find(replace(WANTED, base=base), "badx.lock") == found


BAD = [
    ("not toml", "not TOML"),
    ("a = 1\na = 2", "not TOML"),
    ('schema_version = "one"', "schema_version"),
    ("stacks = 3", "stacks"),
    (TEXT.replace("en-wo/pos", "en-wo"), "not a stack with a task adapter"),
    (TEXT.replace('pair = "en-wo"', 'pair = "eng-wol"'), "not written as en-wo"),
    (TEXT.replace("bad-x", "ta-only"), "setup ta-only"),
    (TEXT.replace("bad-x", "whatever"), "setup"),
    (TEXT.replace("20260101T", "../../20260101T"), "version"),
    (TEXT.replace("1111", "zzzz"), "digest"),
    (TEXT.replace("mbert/en-wo", "../mbert"), "stacks.0"),
    (TEXT.replace("aaaa", "main"), "commit"),
]


@pytest.mark.parametrize(("text", "says"), BAD, ids=range(len(BAD)))
def test_malformed_locks(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "badx.lock"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        Lock.read(path)
    assert says in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_files_that_are_no_locks(tmp_path: Path) -> None:
    path = tmp_path / "badx.lock"
    with refused(NotFoundError, "badx-hub lock"):
        Lock.read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not TOML"):
        Lock.read(path)
    path.write_text("#" * 2**20 + "\n")
    with pytest.raises(DataError, match="1 MiB"):
        Lock.read(path)
    path.write_text("schema_version = 2")
    with pytest.raises(IntegrityError, match="update badx_hub"):
        Lock.read(path)


def test_later_fields_are_ignored() -> None:
    later = TEXT.replace('task = "pos"', 'task = "pos"\ncolour = "blue"')
    assert Lock.parse(later.encode(), "x") == Lock(stacks=(STACK,))
