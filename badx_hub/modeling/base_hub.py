"""Getting a base from a Hub: of one commit, only the files it needs, and no more bytes than its config accounts for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from badx_hub.base_spec import HubBase
from badx_hub.errors import HubError, IntegrityError, NotFoundError
from badx_hub.manifest import BaseRef
from badx_hub.modeling import base_file_names, base_files, converted_bases
from badx_hub.storage import digest_of

if TYPE_CHECKING:
    from badx_hub.hub.client import HubClient, ListedFile
    from badx_hub.hub.model_cache import CachedModel

_LOG = logging.getLogger(__name__)
_REFUSED = (401, 403)


@dataclass(frozen=True)
class Found:
    """A base of a Hub that is on this machine: its folder, and the commit it is of."""

    folder: Path
    commit: str


def found_on_hub(base: HubBase, *, offline: bool, expected: BaseRef | None) -> Found:
    """The base in the cache, downloaded where need be; or as it was converted.

    Its revision is looked up once, and everything is of that commit. Nothing is downloaded that cannot be the
    `expected` base. Where the Hub is out of reach, what the cache has is taken, and said so.

    Raises:
        NotFoundError, HubError: the Hub does not have it or cannot be asked, and the cache does not have it either.
        IntegrityError: it has no safetensors or no fast tokenizer, is too large or not what is expected.
        DataError, UsageError: its config.json, as `base_files.read_config`.
    """
    from badx_hub.hub.client import HubClient, is_offline
    from badx_hub.hub.model_cache import CachedModel

    model = CachedModel(base)
    if offline or is_offline():
        if (here := _at_hand(model)) is None:
            raise NotFoundError(f"{base} is not in the Hugging Face cache, and you are offline.")
        return here
    if base.at == model.commit and (here := _complete(model, base.at)):
        return here
    client = HubClient()
    try:
        commit = commit_of(client, base)
    except HubError as error:
        if error.status in _REFUSED or (here := _at_hand(model)) is None:
            raise
        _LOG.warning("%s The copy of %s in the cache is used.", error.fact, base)
        return here
    model.remember(commit)
    return _complete(model, commit) or Found(_downloaded(client, model, commit, expected), commit)


def take(
    client: HubClient, model: CachedModel, commit: str, files: Mapping[str, ListedFile], expected: BaseRef | None = None
) -> Path:
    """The folder with these files of a commit, once their sizes are known to be those that its config.json justifies.

    Raises IntegrityError for larger ones, and for a config.json that is not that of the `expected` base, before
    anything else is downloaded.
    """
    repo = str(model.base)
    if base_file_names.CONFIG_FILE not in files:
        raise IntegrityError(base_files.no_config(repo, files))
    weights = {name for name in files if base_file_names.is_of_weights(name)}
    for name in files.keys() - weights:
        _refuse_larger(repo, name, files[name].size, base_files.most_beside(name))
    settings = {base_file_names.CONFIG_FILE: files[base_file_names.CONFIG_FILE]}
    config = base_files.read_config(model.download(client, commit, settings), repo)
    if expected and (config.hidden_size, config.num_hidden_layers) != (expected.hidden_size, expected.num_layers):
        raise base_files.another("settings", expected, repo, expected.config, digest_of(config.identity()))
    for name in weights:
        _refuse_larger(repo, name, files[name].size, base_files.most_bytes(config))
    _refuse_larger(repo, "weights", sum(files[name].size for name in weights), base_files.most_bytes(config))
    return model.download(client, commit, files)


def commit_of(client: HubClient, base: HubBase) -> str:
    """The commit that a base's revision is at now."""
    commit = client.head(base)
    if commit is None:
        raise NotFoundError(f"{base} is an empty repository on the Hub.")
    return commit


def _at_hand(model: CachedModel) -> Found | None:
    """What is here of the commit that the revision was last known to be at, whole or not."""
    if (commit := model.commit) is None:
        return None
    if found := _complete(model, commit):
        return found
    folder = model.snapshot(commit)
    return Found(folder, commit) if folder.is_dir() else None


def _complete(model: CachedModel, commit: str) -> Found | None:
    """The base at this commit if all of it is here, so that not even a listing is needed."""
    if made := converted_bases.of_commit(replace(model.base, revision=commit)):
        return Found(made, commit)
    folder = model.snapshot(commit)
    names = {path.name for path in folder.iterdir() if path.exists()} if folder.is_dir() else set()
    needed = {base_file_names.CONFIG_FILE, base_file_names.TOKENIZER_FILE, base_file_names.TOKENIZER_CONFIG_FILE}
    weights = base_file_names.weights_among(names)
    if not weights or needed - names:
        return None
    if base_file_names.WEIGHTS_FILE not in weights and not base_files.parts_are_whole(folder, weights):
        return None
    return Found(folder, commit)


def _downloaded(client: HubClient, model: CachedModel, commit: str, expected: BaseRef | None) -> Path:
    place = replace(model.base, revision=commit)
    listed = client.files(place)
    names = base_file_names.wanted_among(listed)
    if base_file_names.CONFIG_FILE not in listed:
        raise IntegrityError(base_files.no_config(str(model.base), listed))
    converted_bases.refuse_unconverted(listed, str(model.base), str(model.base))
    files = {name: listed[name] for name in names}
    _refuse_other_weights(files, model.base, expected)
    return take(client, model, commit, files, expected)


def _refuse_other_weights(files: Mapping[str, ListedFile], base: HubBase, expected: BaseRef | None) -> None:
    """Where the manifest says which files it means, others are seen in the listing.

    It does so if it knows of nothing else, or means this very repository at whatever commit.
    """
    if expected is None or (expected.files and (expected.revision or expected.name != base.repo)):
        return
    digests = {name: files[name].sha256 for name in base_file_names.weights_among(files)}
    wanted, found = expected.files or expected.digest, digest_of(digests)
    if all(digests.values()) and found != wanted:
        raise base_files.another("weights", expected, str(base), wanted, found)


def _refuse_larger(repo: str, what: str, size: int, most: int) -> None:
    if not 0 <= size <= most:
        raise IntegrityError(
            f"{repo}: its {what} would have {size:,} bytes and may have {most:,}. It was not downloaded."
        )
