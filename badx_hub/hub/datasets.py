"""Files of data sets on a Hub, at one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import snapshot_download

from badx_hub.hub.client import is_offline, refuse_if_offline
from badx_hub.hub.transport import RetryPolicy, attempt, client


@dataclass(frozen=True)
class HubDataset:
    """A data set at a commit: `repo` is ORG/NAME, `commit` its 40 digits, `files` the paths in it."""

    repo: str
    commit: str
    files: tuple[str, ...] = field(repr=False)

    @classmethod
    def at(cls, repo: str, revision: str | None = None, *, retries: RetryPolicy | None = None) -> HubDataset:
        """The data set at a branch, tag or commit (default: the newest), as the Hub has it now.

        Raises NotFoundError (no such data set, or not for this account) and HubError (offline, refused, failed).
        """
        doing = f"Reading the data set {repo}"
        refuse_if_offline(is_offline(), doing)
        found = attempt(lambda: client().dataset_info(repo, revision=revision), doing, retries or RetryPolicy())
        return cls(repo, str(found.sha), tuple(one.rfilename for one in found.siblings or ()))

    def download(self, files: Sequence[str]) -> tuple[Path, ...]:
        """Copies of these files in huggingface_hub's own cache. Raises what `at` does."""

        def get() -> str:
            return snapshot_download(
                self.repo, repo_type="dataset", revision=self.commit, allow_patterns=list(files), endpoint=api.endpoint
            )

        api = client()
        folder = Path(attempt(get, f"Downloading the data set {self.repo}", RetryPolicy()))
        return tuple(folder / file for file in files)
