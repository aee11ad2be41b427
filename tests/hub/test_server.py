"""The test Hub against the unmodified client."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download

from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer

CARD = """---
library_name: adapters
language: [en, wo]
tags: [badx, 'badx:bilingual']
base_model: google-bert/bert-base-multilingual-cased
license: apache-2.0
---
# An adapter
"""


def _folder(root: Path) -> Path:
    (root / "sub").mkdir(parents=True)
    (root / "README.md").write_text(CARD)
    (root / "adapter.safetensors").write_bytes(bytes(range(256)) * 400)
    (root / "sub" / "a.txt").write_text("one\n")
    return root


def test_a_folder_comes_back_as_it_went(hub: HubServer, tmp_path: Path) -> None:
    api, source = hub.api(), _folder(tmp_path / "source")
    assert str(api.create_repo("acme/x")) == f"{hub.endpoint}/acme/x"
    api.create_repo("acme/x", exist_ok=True)
    commit = api.upload_folder(repo_id="acme/x", folder_path=source)
    info = api.model_info("acme/x", files_metadata=True)
    assert info.sha == commit.oid
    assert {"adapters", "safetensors", "badx:bilingual", "en", "wo", "license:apache-2.0"} <= set(info.tags or ())
    weights = next(s for s in info.siblings or () if s.rfilename == "adapter.safetensors")
    assert weights.size == 102400 and weights.lfs is not None
    assert [model.id for model in api.list_models(filter=["badx", "en"])] == ["acme/x"]
    assert list(api.list_models(filter=["badx", "fo"])) == []
    snapshot = Path(snapshot_download("acme/x"))
    for path in ("README.md", "adapter.safetensors", "sub/a.txt"):
        assert (snapshot / path).read_bytes() == (source / path).read_bytes() == hub.files("acme/x")[path]
