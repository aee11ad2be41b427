"""From a folder of trained files to one that a registry takes: digests, card, badx.json."""

from __future__ import annotations

from pathlib import Path

from badx_hub.adapter_files import CARD_FILE, MANIFEST_FILE, is_allowed_file, needed_files
from badx_hub.errors import IntegrityError
from badx_hub.manifest import Manifest, ManifestDraft
from badx_hub.registry.cards import render_card
from badx_hub.storage import atomic_write_text, sha256_file


def prepare(folder: Path, draft: ManifestDraft) -> Manifest:
    """Hashes the files in `folder`, renders README.md, writes badx.json last, and returns it.

    Raises IntegrityError (weights missing, or a file that no adapter may have), StorageError (writing failed).
    """
    names = sorted(path.name for path in folder.iterdir() if path.name not in (MANIFEST_FILE, CARD_FILE))
    for name in names:
        if not is_allowed_file(name):
            raise IntegrityError(
                f"{folder / name} is no file an adapter may have. Take it out; weights are saved as safetensors "
                "(`use_safetensors=True`)."
            )
    if missing := [name for name in needed_files(draft.adapter_name.kind) if name not in names]:
        raise IntegrityError(f"{folder} lacks {', '.join(missing)}. Save the adapter (and its head) there first.")
    files = {name: sha256_file(folder / name) for name in names}
    card = render_card(Manifest.of(draft, files))
    atomic_write_text(folder / CARD_FILE, card)
    manifest = Manifest.of(draft, {**files, CARD_FILE: sha256_file(folder / CARD_FILE)})
    atomic_write_text(folder / MANIFEST_FILE, manifest.to_json())
    return manifest
