"""Build the embedded registry (``badx_hub/demo/registry``) from the adapters of ``tools/shipped.yaml``.

    badx-hub train en-wo --recipe tools/shipped.yaml --registry shipped
    badx-hub train en-wo --task pos --recipe tools/shipped.yaml --registry shipped
    badx-hub train en-wo --task dp --recipe tools/shipped.yaml --registry shipped
    python tools/make_demo_registry.py shipped

The parser's head is most of what is shipped (22 MB, for each relation a matrix of 385 x 385). It is stored in bfloat16,
so that the wheel stays small, and the scores are those of what is stored: on the Wolof test sentences, in fp32.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from badx_hub.adapter_files import CARD_FILE, HEAD_WEIGHTS_FILE
from badx_hub.evaluation import evaluate
from badx_hub.evaluation.record_scores import record
from badx_hub.manifest import ManifestDraft
from badx_hub.registry import Entry, Registry, copy, open_registry
from badx_hub.registry.adapter_folder import prepare
from badx_hub.stack import load_bilingual_stack

TARGET = Path(__file__).parents[1] / "badx_hub" / "demo" / "registry"
PAIR = ("en", "wo")
NARROW = {"pos": False, "dp": True}
"""The tasks, and whether the head is stored in bfloat16."""

TREEBANK = "demo:ud/UD_Wolof-WTB"


def narrowed(entry: Entry, source: Registry, target: Registry) -> Entry:
    """The adapter in `target`, with its head in bfloat16 and the manifest otherwise as it was."""
    manifest = entry.manifest
    with tempfile.TemporaryDirectory() as folder:
        building = Path(folder) / "adapter"
        building.mkdir()
        for name in manifest.files.keys() - {CARD_FILE}:
            shutil.copyfile(source.fetch(entry) / name, building / name)
        weights = load_file(building / HEAD_WEIGHTS_FILE)
        narrow = {name: weight.to(torch.bfloat16) for name, weight in weights.items()}
        save_file(narrow, building / HEAD_WEIGHTS_FILE, metadata={"format": "pt"})
        prepare(
            building, ManifestDraft.checked(**{name: getattr(manifest, name) for name in ManifestDraft.model_fields})
        )
        return target.publish(building)


def scored(task: str, registry: Registry) -> Entry:
    """The task adapter with its scores on the Wolof test sentences."""
    stack = load_bilingual_stack(*PAIR, task, registry=registry, dtype=torch.float32)
    return record(evaluate(stack, TREEBANK), registry, language=PAIR[1]).entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("registry", help="of the adapters that were trained")
    source = open_registry(parser.parse_args().registry)
    with tempfile.TemporaryDirectory() as folder:
        building = open_registry(Path(folder) / "registry")
        for task, narrow in NARROW.items():
            entry = source.get(f"demo/{'-'.join(PAIR)}/{task}")
            copy(entry, source, building)
            if narrow:
                building.remove(building.get(entry.name))
                narrowed(entry, source, building)
        ready = [scored(task, building) for task in NARROW]
        shutil.rmtree(TARGET, ignore_errors=True)
        for entry in ready:
            copy(entry, building, open_registry(TARGET))
    for lock in TARGET.rglob(".*.lock"):
        lock.unlink()


if __name__ == "__main__":
    main()
