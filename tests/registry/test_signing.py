"""Signatures made by one person and checked by another, with OpenSSH's own keys."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from badx_hub import load_bilingual_stack
from badx_hub.adapter_files import MANIFEST_FILE, SIGNATURE_FILE
from badx_hub.errors import IntegrityError, NotFoundError, UsageError
from badx_hub.registry import Entry, LocalRegistry, copy, open_registry
from badx_hub.registry.adapter_folder import signed_by
from badx_hub.registry.hub import HubRegistry
from badx_hub.signing import sign, signer_of
from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from tests.hub.fixture import hub as hub
from tests.made import made
from tests.registry.hubs import org as org
from tests.registry.hubs import visitor as visitor

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH's ssh-keygen is not here")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys `ours` and `other`, and `signers`, which allows ours alone."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    public = (folder / "ours.pub").read_text(encoding="utf-8")
    (folder / "signers").write_text(f"team@example.org {public}", encoding="utf-8")
    return folder


@pytest.fixture
def own(tmp_path: Path, tiny_base: Path) -> LocalRegistry:
    registry = LocalRegistry(tmp_path / "own")
    bilingual = made(registry, tiny_base, "tiny/en-wo", seed=1)
    made(registry, tiny_base, "tiny/en-wo/pos", seed=2, on=bilingual)
    return registry


def task_of(registry: LocalRegistry) -> Entry:
    return registry.get("tiny/en-wo/pos")


def test_a_signature_is_of_these_bytes_for_this_use_by_this_key(keys: Path) -> None:
    signature = sign(b"badx", keys / "ours")
    assert signer_of(b"badx", signature, keys / "signers", "it") == "team@example.org"
    with pytest.raises(IntegrityError, match=r"not that of its badx\.json"):
        signer_of(b"bady", signature, keys / "signers", "it")
    with pytest.raises(IntegrityError, match="not signed by anybody"):
        signer_of(b"badx", sign(b"badx", keys / "other"), keys / "signers", "it")
    with pytest.raises(IntegrityError, match="not signed by anybody"):
        signer_of(b"badx", b"no signature", keys / "signers", "it")
    command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(keys / "ours"), "-n", "git"]
    for_git = subprocess.run(command, input=b"badx", capture_output=True, check=True).stdout
    with pytest.raises(IntegrityError):
        signer_of(b"badx", for_git, keys / "signers", "it")


def test_what_is_missing_or_cannot_sign_is_named(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no key"):
        sign(b"", tmp_path / "none")
    (tmp_path / "noise").write_text("noise", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot sign"):
        sign(b"", tmp_path / "noise")
    with pytest.raises(NotFoundError, match="allowed signers"):
        signer_of(b"", b"", tmp_path / "none", "it")


def test_a_signed_stack_loads_where_a_signature_is_demanded(own: LocalRegistry, keys: Path, tmp_path: Path) -> None:
    shared, mine = LocalRegistry(tmp_path / "shared"), LocalRegistry(tmp_path / "mine")
    copy(task_of(own), own, shared, sign_with=keys / "ours")
    copy(task_of(shared), shared, mine)
    for registry in (own, shared, mine):
        assert all((Path(entry.location) / SIGNATURE_FILE).is_file() for entry in registry.list())
        assert all(registry.verify(entry).ok for entry in registry.list())
    load_bilingual_stack("en", "wo", "pos", registry=mine, require_signature=keys / "signers")


def test_a_version_that_is_there_without_a_signature_gets_one(own: LocalRegistry, keys: Path, tmp_path: Path) -> None:
    shared = LocalRegistry(tmp_path / "shared")
    copy(task_of(own), own, shared)
    with pytest.raises(IntegrityError, match="is not signed"):
        load_bilingual_stack("en", "wo", "pos", registry=shared, require_signature=keys / "signers")
    done = copy(task_of(own), own, shared, sign_with=keys / "ours")
    assert not done.copied
    load_bilingual_stack("en", "wo", "pos", registry=shared, require_signature=keys / "signers")


def test_another_manifest_under_a_signature_is_refused(own: LocalRegistry, keys: Path, tmp_path: Path) -> None:
    copy(task_of(own), own, LocalRegistry(tmp_path / "shared"), sign_with=keys / "ours")
    folder = Path(task_of(own).location)
    (folder / SIGNATURE_FILE).write_bytes(sign((folder / MANIFEST_FILE).read_bytes() + b" ", keys / "ours"))
    with pytest.raises(IntegrityError, match="is not that of its"):
        load_bilingual_stack("en", "wo", "pos", registry=own, require_signature=keys / "signers")


def test_a_link_in_place_of_a_signature_is_not_followed(own: LocalRegistry, keys: Path) -> None:
    folder = Path(task_of(own).location)
    (folder / SIGNATURE_FILE).symlink_to(keys / "ours")
    assert [fault.name for fault in own.verify(task_of(own)).faults] == [SIGNATURE_FILE]
    with pytest.raises(IntegrityError):
        load_bilingual_stack("en", "wo", "pos", registry=own, require_signature=keys / "signers")


def test_what_is_embedded_cannot_be_signed(keys: Path, tmp_path: Path) -> None:
    embedded = open_registry("demo")
    with pytest.raises(UsageError, match="read-only"):
        copy(embedded.get("demo/en-wo"), embedded, LocalRegistry(tmp_path / "own"), sign_with=keys / "ours")


def test_a_signature_goes_to_the_hub_and_comes_back(
    own: LocalRegistry, keys: Path, org: HubRegistry, visitor: HubRegistry, tmp_path: Path
) -> None:
    copy(task_of(own), own, org)
    done = copy(task_of(own), own, org, sign_with=keys / "ours")  # What was there unsigned is signed.
    assert not done.copied
    mine = LocalRegistry(tmp_path / "mine")
    copy(visitor.get("tiny/en-wo/pos"), visitor, mine)
    assert all(signed_by(Path(entry.location), keys / "signers", "it") for entry in mine.list())
    assert all(visitor.verify(entry).ok for entry in visitor.list())


def test_the_commands_sign_and_say_who_signed(own: LocalRegistry, keys: Path, tmp_path: Path, run: Run) -> None:
    where = ("--registry", str(own.root))
    shared = str(tmp_path / "shared")
    run("push", "tiny/en-wo/pos", "--to", shared, "--sign", str(keys / "ours"), *where)
    signers = ("--signed-by", str(keys / "signers"))
    told = run("verify", *signers, "--registry", shared)
    assert told.code == 0
    assert told.out.count("signed by team@example.org") == 2
    (keys / "nobody").write_text("", encoding="utf-8")
    refused = run("verify", "--signed-by", str(keys / "nobody"), "--registry", shared)
    assert refused.code == 1
    assert "not signed by anybody" in refused.err
    assert "badx-hub remove" not in refused.err
