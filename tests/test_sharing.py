"""From one home to another through a Hub, over real HTTP: found by name, pinned, and used without it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from badx_hub import load_bilingual_stack
from badx_hub.cli import app
from badx_hub.errors import BadxError, IntegrityError, NotFoundError, UsageError
from badx_hub.languages import pair
from badx_hub.registry import AdapterQuery, Entry, LocalRegistry, copy
from badx_hub.registry.foreign import import_adapter
from badx_hub.registry.hub import HubRegistry
from badx_hub.registry.lock import Lock, lock_stack, locked, resolved, write_lock
from tests.hub.faults import Status, WrongContent
from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer
from tests.made import made
from tests.refusals import refused

WANTED = AdapterQuery(pair("en", "wo"), "pos")
WORDS = ("Xanaa", "leeral", "ne", "lëlu", "waxtaanu", "Sutsas", "bi", ".")


@pytest.fixture
def published(hub: HubServer, tiny_base: Path, tmp_path: Path) -> tuple[LocalRegistry, tuple[Entry, Entry]]:
    """A stack made on another machine and published as acme's."""
    there = LocalRegistry(tmp_path / "there")
    ba = made(there, tiny_base, "tiny/en-wo", seed=1)
    task = made(there, tiny_base, "tiny/en-wo/pos", seed=2, on=ba)
    return there, publish(hub, there, task)


def publish(hub: HubServer, there: LocalRegistry, task: Entry) -> tuple[Entry, Entry]:
    org = HubRegistry("acme", token=hub.token)
    done = copy(task, there, org)
    found = {entry.name: entry for entry in (*done.copied, *done.already)}
    return tuple(sorted(found.values(), key=lambda entry: entry.name.kind))[:2]  # type: ignore[return-value]


def test_by_default_the_hub_is_asked_once_and_then_its_cache(
    hub: HubServer, published: tuple[LocalRegistry, tuple[Entry, Entry]], tiny_base: Path
) -> None:
    there, entries = published
    expected = load_bilingual_stack("en", "wo", "pos", base=str(tiny_base), registry=there).predict([WORDS])
    first = load_bilingual_stack("en", "wo", "pos", base=str(tiny_base))
    assert first.entries == entries
    assert first.predict([WORDS]) == expected
    made_since = made(there, tiny_base, "tiny/en-wo/pos", seed=7, on=there.get("tiny/en-wo"), day=2)
    publish(hub, there, made_since)
    asked = len(hub.requests)
    for offline in (False, True):
        again = load_bilingual_stack("en", "wo", "pos", base=str(tiny_base), offline=offline)
        assert [entry.version for entry in again.entries] == [entry.version for entry in entries]
        assert again.predict([WORDS]) == expected
    assert len(hub.requests) == asked
    newest = load_bilingual_stack("en", "wo", "pos", base=str(tiny_base), registry="hf:acme")
    assert newest.entries[-1].version == made_since.version


def test_a_lock_on_the_hub_brings_back_the_old_version(
    hub: HubServer,
    published: tuple[LocalRegistry, tuple[Entry, Entry]],
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there, entries = published
    path = tmp_path / "badx.lock"
    places, resolution = resolved(WANTED, "hf:acme")
    write_lock(path, lock_stack(WANTED, resolution, places, registry="hf:acme"))
    written = Lock.read(path).stacks[0].adapters
    assert [one.registry for one in written] == ["hf:acme", "hf:acme"]
    assert [f"@{one.commit}" for one in written] == [entry.location[-41:] for entry in entries]
    publish(hub, there, made(there, tiny_base, "tiny/en-wo/pos", seed=7, on=there.get("tiny/en-wo"), day=2))
    monkeypatch.setenv("BADX_HUB_HOME", str(tmp_path / "a third home"))
    stack = load_bilingual_stack("en", "wo", "pos", base=str(tiny_base), lock=path)
    assert [entry.version for entry in stack.entries] == [entry.version for entry in entries]
    monkeypatch.setenv("BADX_HUB_HOME", str(tmp_path / "a home without histories"))
    fault = hub.fault("*/commits/*", Status(501), times=None)
    assert locked(path, WANTED)[1].entries == stack.entries, "the commit is enough"
    assert fault.hits
    monkeypatch.setenv("BADX_HUB_HOME", str(tmp_path / "a fourth home"))
    with refused(NotFoundError, r"locks tiny/en-wo .*badx-hub pull 'tiny/en-wo' --from hf:acme"):
        locked(path, WANTED, offline=True)


def test_two_publishers_of_one_name(
    hub: HubServer, published: tuple[LocalRegistry, tuple[Entry, Entry]], tiny_base: Path
) -> None:
    for name in ("tiny.en-wo", "tiny.en-wo.pos"):
        hub.put(f"lab/{name}", hub.files(f"acme/{name}"))
    with refused(UsageError, "`--registry hf:acme` or `--registry hf:lab`"):
        load_bilingual_stack("en", "wo", "pos", base=str(tiny_base))
    assert load_bilingual_stack("en", "wo", "pos", base=str(tiny_base), registry="hf:lab").setup == "bad-x"


def test_the_code_on_published_cards_runs(
    hub: HubServer, published: tuple[LocalRegistry, tuple[Entry, Entry]], tiny_base: Path, home: Path
) -> None:
    """Both ways to load that a card shows give the stack that was published, though another has the same names."""
    import torch

    there, entries = published
    for name in ("tiny.en-wo", "tiny.en-wo.pos"):
        hub.put(f"lab/{name}", hub.files(f"acme/{name}"))
    with_badx_hub, plain = code_on(hub, "acme/tiny.en-wo.pos", tiny_base)
    scopes: list[dict[str, Any]] = [{}, {}]
    exec(with_badx_hub, scopes[0])
    exec(plain, scopes[1])
    stack, model = scopes[0]["stack"], scopes[1]["model"]
    assert stack.entries == entries
    assert stack.predict([WORDS]) == load_bilingual_stack(
        "en", "wo", "pos", base=str(tiny_base), registry=there
    ).predict([WORDS])
    tokens = torch.arange(5, 15).unsqueeze(0)
    with torch.no_grad():
        assert torch.equal(model.eval()(tokens).logits, stack.model(tokens).logits)
    (language_adapter,) = code_on(hub, "acme/tiny.en-wo", tiny_base)
    scope: dict[str, Any] = {}
    exec(language_adapter, scope)
    assert list(scope["model"].adapters_config.adapters) == [scope["language_adapter"]] == [entries[0].name.module_name]
    card = hub.files("acme/tiny.en-wo")["README.md"].decode()
    (pull,) = re.findall("^badx-hub (pull .*)$", card, flags=re.MULTILINE)
    assert CliRunner().invoke(app, pull.split()).exit_code == 0
    assert LocalRegistry(home / "registry").get("tiny/en-wo").version == entries[0].version


def code_on(hub: HubServer, repo: str, base: Path) -> list[str]:
    """The Python blocks of a repository's card."""
    card = hub.files(repo)["README.md"].decode().replace("path/to/base", str(base))
    return re.findall("^```python\n(.*?)^```$", card, flags=re.MULTILINE | re.DOTALL)


def test_a_hub_that_does_not_answer_is_named_beside_the_way_out(hub: HubServer) -> None:
    hub.fault("/api/models*", Status(403), times=None)
    with refused(NotFoundError, r"Not looked into: .*403.*badx-hub train en-wo --task pos --data ud:UD_English-EWT`\."):
        resolved(WANTED)


def test_an_la_of_others_is_imported_from_their_repository(hub: HubServer, tiny_base: Path, tmp_path: Path) -> None:
    from adapters import AutoAdapterModel

    model = AutoAdapterModel.from_pretrained(str(tiny_base))
    model.add_adapter("wolof", config="seq_bn_inv")
    model.save_adapter(str(tmp_path / "safe"), "wolof", use_safetensors=True)
    model.save_adapter(str(tmp_path / "pickled"), "wolof")
    content = {
        kind: {path.name: path.read_bytes() for path in (tmp_path / kind).iterdir()} for kind in ("safe", "pickled")
    }
    hub.put("other/la-pickled", content["pickled"])
    old = hub.put("other/la-wolof", {**content["safe"], "run_me.py": "raise SystemExit"})
    hub.put("other/la-wolof", {"adapter_config.json": "{}"})
    own = LocalRegistry(tmp_path / "own")
    done = import_adapter(f"other/la-wolof@{old}", "wo", own, base=str(tiny_base)).entry
    assert done.manifest.imported_from == f"hf:other/la-wolof@{old}"
    assert (own.fetch(done) / "adapter.safetensors").read_bytes() == content["safe"]["adapter.safetensors"]
    assert not any(seen.path.endswith((".py", ".bin")) for seen in hub.requests)
    fault = hub.fault("/cdn/*", WrongContent(), method="GET", times=None)
    with pytest.raises(IntegrityError, match=r"adapter\.safetensors of other/la-wolof .*sha256 differs"):
        import_adapter(f"other/la-wolof@{old}", "wo", LocalRegistry(tmp_path / "none"), base=str(tiny_base))
    assert fault.hits
    hub.clear_faults()
    asked: list[tuple[str, type[BadxError], str]] = [
        ("other/la-wolof", BadxError, "not one of `adapters`"),
        ("other/la-pickled", IntegrityError, "badx-hub convert"),
        ("other/nothing", NotFoundError, "other/nothing"),
    ]
    for place, error, says in asked:
        with refused(error, says):
            import_adapter(place, "wo", own, base=str(tiny_base))
    assert not any(seen.path.endswith((".py", ".bin")) for seen in hub.requests)
    assert own.list() == (done,)
