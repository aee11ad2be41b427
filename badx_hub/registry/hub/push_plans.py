"""What is to be published on a Hub, how, and what stands against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from badx_hub.adapter_files import CARD_FILE, MANIFEST_FILE, SIGNATURE_FILE
from badx_hub.errors import IntegrityError, UsageError
from badx_hub.hub.client import Upload
from badx_hub.manifest import Manifest, read_manifest_text
from badx_hub.registry.adapter_folder import check_content, check_names, signature_in
from badx_hub.registry.hub.commit_files import foreign_weights
from badx_hub.registry.protocol import Entry, version_of
from badx_hub.remedies import Advice


@dataclass(frozen=True)
class PushOptions:
    """How to publish: a new repository `private`; on a branch `revision`; as a pull request; under a `message`.

    `card` has metadata for the cards, as `card_fields` reads them: they go before what badx.json or people say there.
    """

    private: bool = False
    revision: str | None = None
    create_pr: bool = False
    message: str | None = None
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PushPlan:
    """What a push will do: `creates` the repository, `uploads` and `deletes` files on top of the commit `parent`.

    `already` is the entry if that very version is there, sound, and there is nothing to do.
    """

    repo: str
    revision: str
    version: str
    creates: bool
    new_branch: bool
    parent: str | None
    uploads: tuple[Upload, ...]
    deletes: tuple[str, ...]
    keeps_readme: bool
    already: Entry | None


@dataclass(frozen=True)
class Prepared:
    """A folder that has passed every check, and its manifest."""

    folder: Path
    text: str
    manifest: Manifest

    @classmethod
    def of(cls, folder: Path) -> Prepared:
        """Raises UsageError (a whole model), IntegrityError (a pickle, a changed, missing or foreign file), DataError,
        NotFoundError.
        """
        text = read_manifest_text(folder)
        manifest = Manifest.from_json(text, str(folder / MANIFEST_FILE))
        if manifest.kind == "model":
            raise UsageError(
                f"{manifest.name} is a fully fine-tuned model, which stays local.",
                remedies=(Advice("Share adapters, or copy it to a folder: `{}`.", (("to", "./DIR"),)),),
            )
        check_names(folder, manifest)
        check_content(folder, manifest, folder)
        return cls(folder, text, manifest)

    @property
    def version(self) -> str:
        """The version it will have everywhere."""
        return version_of(self.text, self.manifest.created)


def uploads(prepared: Prepared, card: str) -> tuple[Upload, ...]:
    """badx.json as it is, the weights, and the card; README.md comes from the card alone."""
    signature = {SIGNATURE_FILE} if signature_in(prepared.folder) is not None else set()
    names = sorted({MANIFEST_FILE, *prepared.manifest.files} - {CARD_FILE} | signature)
    paths = [prepared.folder / name for name in names]
    content = card.encode()
    files = [Upload(path.name, path.stat().st_size, path) for path in paths]
    return (*files, Upload(CARD_FILE, len(content), content))


def refuse_foreign(repo: str, names: list[str], there: Manifest | None) -> None:
    """Raises IntegrityError if the files of a repository are not those of an adapter, or not of it alone."""
    if strange := foreign_weights(names, there):
        raise IntegrityError(
            f"{repo} holds {', '.join(strange[:3])}, which badx_hub did not put there: weights of others are never "
            "written over or mixed with.",
            remedies=(
                Advice("Take them out there, or publish elsewhere ({}, {}).", (("to", "ORG"), ("label", "NAME"))),
            ),
        )
    if there is None and (
        other := sorted(set(names) - {CARD_FILE, SIGNATURE_FILE, ".gitattributes", ".gitignore", "LICENSE"})
    ):
        raise IntegrityError(
            f"{repo} holds something else ({', '.join(other[:3])}) and no {MANIFEST_FILE}.",
            remedies=(Advice("Publish elsewhere ({}, or train with another {}).", (("to", "ORG"), ("label", None))),),
        )


def refuse_newer(repo: str, there: Entry, manifest: Manifest) -> None:
    """Raises UsageError if what is there was made later."""
    if there.manifest.created > manifest.created:
        raise UsageError(
            f"{repo} has a newer version ({there.manifest.created}) than this one ({manifest.created}).",
            remedies=(Advice("Publish this one on a branch: {}.", (("revision", "NAME"),)),),
        )
