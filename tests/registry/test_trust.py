"""Hostile input from a Hub: manifests, names, cards, listings, sizes. Each is refused with a reason in one line.

What a manifest alone can get wrong is in tests/test_manifest.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.errors import DataError, IntegrityError, NotFoundError, UsageError
from badx_hub.hub.ref import adapter_at_commit, split_repo
from badx_hub.manifest import MAX_MANIFEST_BYTES, Manifest
from badx_hub.registry import Entry, LocalRegistry, copy
from badx_hub.registry.hub import HubRegistry
from badx_hub.registry.hub.readme import is_ours, merged, sealed
from badx_hub.registry.size_limits import MAX_WEIGHTS, size_limit
from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer
from tests.registry.conftest import build
from tests.registry.hubs import visitor as visitor
from tests.test_manifest import fields

REPO = "acme/mbert.en-wo"
PICKLE = b"\x80\x04\x95cos\nsystem\n(S'true'\ntR."


@pytest.fixture
def good(tmp_path: Path) -> dict[str, bytes]:
    """The files of a sound adapter."""
    folder = build(tmp_path / "good", "mbert/en-wo", files={"curves.png": b"\x89PNG"})
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def with_manifest(good: Mapping[str, bytes], **changes: Any) -> dict[str, bytes]:
    value = {**json.loads(good["badx.json"]), **changes}
    return {**good, "badx.json": json.dumps(value).encode()}


def refused(hub: HubServer, visitor: HubRegistry, repo: str, files: Mapping[str, bytes], home: Path) -> str:
    """The reason for which this adapter, served by a hostile Hub, cannot be pulled. Nothing of it stays."""
    hub.put(repo, files)
    own = LocalRegistry(home / "own")
    with pytest.raises((DataError, IntegrityError, NotFoundError)) as caught:
        copy(visitor.get("mbert/en-wo"), visitor, own)
    assert own.list() == own.problems() == ()
    assert list(visitor.cache.entries(None)) == []
    assert not list(visitor.cache.root.rglob("*.safetensors"))
    assert [path.name for path in home.parent.iterdir() if path.name == "evil.png"] == []
    reason = str(caught.value)
    assert "\n" not in reason and "\x1b" not in reason and len(reason) < 700
    return reason


FILE_NAMES = [
    "../evil.png",
    "../../../../evil.png",
    "/tmp/evil.png",
    "a/../../evil.png",
    "sub/evil.png",
    "..\\evil.png",
    "C:\\evil.png",
    ".hidden.png",
    ".git/hooks/post-checkout",
    "evil.png\n",
    "evil\x00.png",
    "CON.png/..",
    "ev\u0131l.png",
    "adapter.safetensors/../../evil.png",
    "badx.json",
    "run.py",
    "__init__.py",
    "setup.sh",
    "tokenizer_config.json",
]


@pytest.mark.parametrize("name", FILE_NAMES)
def test_file_names_cannot_leave_the_folder(
    hub: HubServer, visitor: HubRegistry, good: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    files = {**json.loads(good["badx.json"])["files"], name: "d" * 64}
    assert "files" in refused(hub, visitor, REPO, with_manifest(good, files=files), tmp_path / "home")


@pytest.mark.parametrize("name", ["pytorch_adapter.bin", "model.pt", "x.PKL", "weights.ckpt", "a.pth", "a.pickle"])
def test_pickles_are_refused_with_the_reason(
    hub: HubServer, visitor: HubRegistry, good: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    files = {**json.loads(good["badx.json"])["files"], name: "d" * 64}
    changed = {**with_manifest(good, files=files), name: PICKLE}
    reason = refused(hub, visitor, REPO, changed, tmp_path / "home")
    assert "pickle" in reason and "run code" in reason


def test_case_folding_collisions(hub: HubServer, visitor: HubRegistry, good: dict[str, bytes], tmp_path: Path) -> None:
    files = {**json.loads(good["badx.json"])["files"], "Curves.png": "d" * 64}
    assert "case" in refused(hub, visitor, REPO, with_manifest(good, files=files), tmp_path / "home")


def test_files_beside_ours_are_never_fetched(
    hub: HubServer, visitor: HubRegistry, good: dict[str, bytes], tmp_path: Path
) -> None:
    beside = {"readme.md": b"x", "README.MD": b"x", "../evil.png": b"x", "/abs.png": b"x", "run.py": b"x", ".env": b"x"}
    hub.put(REPO, {**good, **beside, "pytorch_adapter.bin": PICKLE, "sub/adapter.safetensors": b"x"})
    folder = visitor.fetch(visitor.get("mbert/en-wo"))
    assert {path.name for path in folder.iterdir()} == set(good)
    assert not any(name in seen.path for seen in hub.requests for name in ("evil", "run.py", ".bin", ".env"))
    states = {check.name: check.state for check in visitor.verify(visitor.get("mbert/en-wo")).faults}
    assert states == {"pytorch_adapter.bin": "extra", "run.py": "extra"}


OTHERS = [
    ({"name": "mbert/en-fo", "mixture": [["en", 1], ["fo", 1]]}, "says in its badx.json that it is mbert/en-fo"),
    ({"name": "../../etc"}, "name"),
    ({"name": "mbert/en-wo\x1b[2J"}, "name|agree|known"),
    ({"schema_version": 2}, "update badx_hub"),
    ({"schema_version": 10**30}, "schema_version|update"),
    ({"digest": "0" * 64}, "digest"),
    ({"created": "../../x"}, "created"),
    ({"base": {"name": "/etc/passwd"}}, "base"),
    ({"recipe": {"x": "y" * 10}, "kind": "task"}, "agree|kind"),
    ({"parent": {"name": "mbert/en", "digest": "a" * 64}}, "parent"),
]


@pytest.mark.parametrize(("changes", "said"), OTHERS)
def test_manifests_that_lie(
    hub: HubServer,
    visitor: HubRegistry,
    good: dict[str, bytes],
    tmp_path: Path,
    changes: dict[str, Any],
    said: str,
) -> None:
    assert re.search(said, refused(hub, visitor, REPO, with_manifest(good, **changes), tmp_path / "home"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a valid badx.json"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 100_000, "not a valid badx.json"),
        (b"<html>log in</html>", "not a valid badx.json"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "not a valid badx.json"),
        (b" " * (MAX_MANIFEST_BYTES + 1), "larger than it may be"),
        (b'{"schema_version": 1, "schema_version": 3}', "update badx_hub"),
    ],
)
def test_texts_that_are_no_manifest(
    hub: HubServer, visitor: HubRegistry, good: dict[str, bytes], tmp_path: Path, content: bytes, said: str
) -> None:
    assert said in refused(hub, visitor, REPO, {**good, "badx.json": content}, tmp_path / "home")
    assert visitor.list() == ()
    assert len(visitor.problems()) == 1


def test_a_newer_manifest_that_only_says_more_is_read(
    hub: HubServer, visitor: HubRegistry, good: dict[str, bytes]
) -> None:
    hub.put(REPO, with_manifest(good, colour="blue"))
    entry = visitor.get("mbert/en-wo")
    assert visitor.fetch(entry).is_dir()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("adapter.safetensors", PICKLE, "sha256 differs"),
        ("adapter.safetensors", b"", "sha256 differs"),
        ("adapter_config.json", b"{}", "sha256"),
        ("adapter_config.json", b" " * (4 * 2**20 + 1), "at most 4,194,304"),
        ("curves.png", b"../adapter.safetensors", "sha256"),
        ("curves.png", b"x" * (16 * 2**20 + 1), "at most 16,777,216"),
        ("adapter.safetensors", b"x" * 1000, "sha256 differs"),
    ],
)
def test_files_that_are_not_what_they_should_be(
    hub: HubServer,
    visitor: HubRegistry,
    good: dict[str, bytes],
    tmp_path: Path,
    name: str,
    content: bytes,
    said: str,
) -> None:
    assert said in refused(hub, visitor, REPO, {**good, name: content}, tmp_path / "home")
    if "at most" in said:
        assert not any(seen.path.endswith(name) for seen in hub.requests), "refused before it was downloaded"


def test_a_pickle_that_badx_json_vouches_for(
    hub: HubServer, visitor: HubRegistry, tmp_path: Path, good: dict[str, bytes]
) -> None:
    folder = build(tmp_path / "fake", "mbert/en-wo", files={"adapter.safetensors": PICKLE})
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "not in the safetensors format" in refused(hub, visitor, REPO, files, tmp_path / "home")


def test_a_missing_file(hub: HubServer, visitor: HubRegistry, good: dict[str, bytes], tmp_path: Path) -> None:
    del good["adapter.safetensors"]
    assert "lacks adapter.safetensors" in refused(hub, visitor, REPO, good, tmp_path / "home")


def test_a_readme_of_any_size_and_content_harms_nobody(
    hub: HubServer, visitor: HubRegistry, good: dict[str, bytes]
) -> None:
    for readme in (b"x" * (2 * 2**20), b"---\n{[\n---\n<script>alert(1)</script>", b"\xff\xfe"):
        hub.put(REPO, {**good, "README.md": readme})
        entry = visitor.get("mbert/en-wo")
        folder = visitor.fetch(entry)
        assert (folder / "README.md").stat().st_size <= 2**20
        assert visitor.verify(entry).ok
        visitor.cache.adapters("acme").remove(visitor.cache.adapters("acme").get("mbert/en-wo"))


LISTED = [
    "acme/mbert.en-wo.",
    "acme/MBERT.en-wo",
    "acme/mbert.wol-en",
    "acme/mbert.en-en",
    "acme/..",
    "acme/",
    "../mbert.en-wo",
    ".acme/mbert.en-wo",
    "a..b/mbert.en-wo",
    "acme/mbert.en-wo/x",
    "mbert.en-wo",
    "acme\\x/mbert.en-wo",
    "acme/mbert.en-wo\n",
    "/mbert.en-wo",
    "a" * 200 + "/mbert.en-wo",
    "acme/mbert." + "-".join(["en"] * 50),
    "ac me/mbert.en-wo",
    "~/mbert.en-wo",
    "-/mbert.en-wo",
]


@pytest.mark.parametrize("repo", LISTED)
def test_names_in_a_listing_are_ours_to_the_letter(repo: str) -> None:
    assert split_repo(repo) is None
    with pytest.raises(NotFoundError, match="no place on a Hub"):
        adapter_at_commit(f"hf:{repo}@{'a' * 40}")


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_listed_name_stays_in_the_cache(owner: str, name: str) -> None:
    if (found := split_repo(f"{owner}/{name}")) is not None:
        path = Path("/cache") / found[0] / found[1].repo_name
        assert path.resolve() == path and path.parent.parent == Path("/cache")


@pytest.mark.parametrize("commit", ["", "main", "../x", "A" * 40, "a" * 39, "a" * 40 + "/.."])
def test_commits_in_a_location(visitor: HubRegistry, good: dict[str, bytes], commit: str) -> None:
    manifest = Manifest.from_json(good["badx.json"].decode(), "x")
    entry = Entry(manifest, "20260101T000000Z-000000000000", f"hf:{REPO}@{commit}")
    for act in (visitor.fetch, visitor.verify):
        with pytest.raises(NotFoundError, match="no place on a Hub"):
            act(entry)


@pytest.mark.parametrize("version", ["../../x", "..", "20260101T000000Z-aaaaaaaaaaaa"])
def test_versions_in_an_entry(hub: HubServer, visitor: HubRegistry, good: dict[str, bytes], version: str) -> None:
    hub.put(REPO, good)
    there = visitor.get("mbert/en-wo")
    with pytest.raises((IntegrityError, NotFoundError)):
        visitor.fetch(Entry(there.manifest, version, there.location))
    assert list(visitor.cache.entries(None)) == []


def test_sizes_are_bounded_by_what_an_adapter_can_be() -> None:
    def limit(name: str = "adapter.safetensors", **base: int) -> int:
        value = fields("mbert/en-wo")
        return size_limit(Manifest.from_json(json.dumps({**value, "base": {**value["base"], **base}}), "x"), name)

    real = 12 * (2 * 768 * 384 + 384 + 768) * 4  # mBERT with the paper's reduction of 2
    assert real * 2 < limit() < 512 * 2**20
    assert limit(hidden_size=2**62, num_layers=2**62) == MAX_WEIGHTS
    assert limit(hidden_size=0, num_layers=0) == 16 * 2**20
    assert limit("README.md") < limit("adapter_config.json") < limit("curves.png")


CARDS = [
    "",
    "---\n---\n",
    "no metadata",
    "---\ntags: nope\n---\ntext",
    "---\n[1, 2]\n---\ntext",
    "---\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n---\ntext",
    "---\n!!python/object/apply:os.system ['true']\n---\ntext",
    "---\n{{{{{\n---\ntext",
    "---\ntags: [badx, 'badx-source:fr', 1, {a: b}]\nlicense: mit\n---\ntext",
    "---\r\ntags: [x]\r\n---\r\ntext\r\n",
    "---\ntags: [x]\ntext without an end",
    "--- not yaml ---\n<script>alert(1)</script>",
]


@pytest.mark.parametrize("theirs", CARDS)
def test_cards_of_others_are_merged_and_never_run(theirs: str) -> None:
    ours = "---\nlanguage:\n- en\nlicense: apache-2.0\ntags:\n- badx\n- badx-source:en\n---\n# Ours\n"
    result = merged(theirs, ours)
    assert merged(result, ours) == result
    values = yaml.safe_load(result.split("---\n")[1])
    assert values["license"] == "apache-2.0" and values["tags"][:2] == ["badx", "badx-source:en"]
    assert "badx-source:fr" not in values["tags"]
    if "text" in theirs:
        assert "text" in result and "# Ours" not in result
    elif "script" not in theirs and theirs != "no metadata":
        assert "# Ours" in result


@given(st.text())
def test_any_card_is_merged(theirs: str) -> None:
    ours = "---\ntags:\n- badx\n---\n# Ours\n"
    result = merged(theirs, ours)
    assert result.startswith("---\ntags:\n- badx\n") or "tags" in theirs
    assert merged(sealed(ours), ours) == sealed(ours)


def test_the_seal() -> None:
    card = sealed("---\na: b\n---\n# Card\n\ntext\n")
    assert is_ours(card) and is_ours(card.replace("a: b", "a: c")) and is_ours(card.replace("\n", "\r\n"))
    assert not is_ours(card.replace("text", "my text")) and not is_ours("text")
    assert not is_ours(card + "more")


def test_an_owner_cannot_be_a_path() -> None:
    for owner in ("..", "a/b", "/a", "~", "", "a\n", "-a", "ä"):
        with pytest.raises(UsageError):
            HubRegistry(owner, offline=True)
