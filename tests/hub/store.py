"""Repositories in a folder: commits that never change, refs that move, discussions."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from tests.hub.behaviour import Behaviour
from tests.hub.errors import Died, conflict, revision_not_found
from tests.hub.objects import Blob, Objects

RepoType = Literal["model", "dataset", "space"]
MAIN = "refs/heads/main"
# What the real Hub puts into a new repository.
GITATTRIBUTES = "".join(
    f"*.{ending} filter=lfs diff=lfs merge=lfs -text\n"
    for ending in ("arrow", "bin", "gz", "npy", "npz", "onnx", "parquet", "pt", "pth", "safetensors", "tar", "zip")
).encode()


@dataclass(frozen=True)
class Commit:
    sha: str
    parent: str | None
    title: str
    message: str
    author: str
    date: str
    files: Mapping[str, Blob]


@dataclass
class Discussion:
    num: int
    title: str
    author: str
    created: str
    pull_request: bool
    status: str
    base: str | None = None
    merged: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ref(self) -> str:
        return f"refs/pr/{self.num}"


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Repo:
    """One repository: its state is in memory and in `folder`, written through on every change."""

    def __init__(
        self, folder: Path, kind: RepoType, id_: str, behaviour: Behaviour, *, private: bool, created: str
    ) -> None:
        self.folder = folder
        self.behaviour = behaviour
        self.type = kind
        self.id = id_
        self.private = private
        self.created = created
        self.refs: dict[str, str] = {}
        self.discussions: list[Discussion] = []
        self._commits: dict[str, Commit] = {}
        (folder / "commits").mkdir(parents=True, exist_ok=True)

    @property
    def namespace(self) -> str:
        return self.id.partition("/")[0]

    def save(self) -> None:
        state = {
            "type": self.type,
            "id": self.id,
            "private": self.private,
            "created": self.created,
            "refs": self.refs,
            "discussions": [asdict(discussion) for discussion in self.discussions],
        }
        _write(self.folder / "repo.json", state)

    @classmethod
    def load(cls, folder: Path, behaviour: Behaviour) -> Repo:
        state = json.loads((folder / "repo.json").read_text())
        told = {key: state[key] for key in ("private", "created")}
        repo = cls(folder, state["type"], state["id"], behaviour, **told)
        repo.refs = state["refs"]
        repo.discussions = [Discussion(**discussion) for discussion in state["discussions"]]
        return repo

    def commit_of(self, sha: str) -> Commit:
        if sha not in self._commits:
            state = json.loads((self.folder / "commits" / f"{sha}.json").read_text())
            files = {path: Blob(**blob) for path, blob in state.pop("files").items()}
            self._commits[sha] = Commit(sha=sha, files=files, **state)
        return self._commits[sha]

    def ref_of(self, revision: str) -> str | None:
        """The full name of a branch, tag or pull request."""
        names = (revision, f"refs/heads/{revision}", f"refs/tags/{revision}")
        return next((name for name in names if name in self.refs), None)

    def resolve(self, revision: str) -> Commit:
        """The commit of a branch, tag, pull request or (shortened) sha."""
        ref = self.ref_of(revision)
        if ref is not None:
            return self.commit_of(self.refs[ref])
        if re.fullmatch("[0-9a-f]{7,64}", revision):
            found = [path.stem for path in (self.folder / "commits").glob(f"{revision}*.json")]
            if len(found) == 1:
                return self.commit_of(found[0])
        raise revision_not_found(revision)

    def history(self, commit: Commit) -> Iterator[Commit]:
        yield commit
        while commit.parent is not None:
            commit = self.commit_of(commit.parent)
            yield commit

    def newest(self) -> Mapping[str, Blob]:
        """What was last written at each path, on whatever branch."""
        commits = {one.sha: one for sha in self.refs.values() for one in self.history(self.commit_of(sha))}
        rows: dict[str, Blob] = {}
        for commit in sorted(commits.values(), key=lambda one: one.date):
            before = {} if commit.parent is None else self.commit_of(commit.parent).files
            rows |= {path: blob for path, blob in commit.files.items() if before.get(path) != blob}
        return rows

    def listed(self, commit: Commit) -> Mapping[str, Blob]:
        """The files of a commit as listings describe them; their contents are those of the commit."""
        if not self.behaviour.lists_newest:
            return commit.files
        newest = self.newest()
        return {path: newest.get(path, blob) for path, blob in commit.files.items()}

    def last_change(self, commit: Commit, path: str) -> Commit:
        """The commit that gave the file at `path` (or a file below it) what it has in `commit`."""
        changed = commit
        for older in self.history(commit):
            if _below(older.files, path) != _below(commit.files, path):
                break
            changed = older
        return changed

    def commit(
        self, ref: str, files: Mapping[str, Blob], *, title: str, message: str = "", author: str, parent: str | None
    ) -> Commit:
        """Write a commit that holds exactly `files` and move `ref` to it."""
        body = {"parent": parent, "title": title, "message": message, "author": author, "date": now()}
        stored = {**body, "files": {path: blob.to_json() for path, blob in sorted(files.items())}}
        hashed = hashlib.sha1 if self.behaviour.commit_digits == 40 else hashlib.sha256
        sha = hashed(json.dumps(stored, sort_keys=True).encode()).hexdigest()
        _write(self.folder / "commits" / f"{sha}.json", stored)
        if self.behaviour.dies_in_commit:
            raise Died
        self.refs[ref] = sha
        self.save()
        return self.commit_of(sha)


def _below(files: Mapping[str, Blob], path: str) -> dict[str, Blob]:
    return {name: blob for name, blob in files.items() if name == path or name.startswith(path + "/")}


def _write(path: Path, value: object) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value))
    partial.replace(path)


class Store:
    """Every repository of the server; `lock` is held by whoever changes one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.behaviour = Behaviour()
        self.lock = threading.RLock()
        self.objects = Objects(root / "objects")
        self._repos: dict[tuple[RepoType, str], Repo] = {}
        for state in (root / "repos").glob("*/*/*/repo.json"):
            repo = Repo.load(state.parent, self.behaviour)
            self._repos[repo.type, repo.id] = repo

    def repos(self, kind: RepoType) -> list[Repo]:
        with self.lock:
            return [repo for (type_, _), repo in self._repos.items() if type_ == kind]

    def find(self, kind: RepoType, id_: str) -> Repo | None:
        return self._repos.get((kind, id_))

    def create(self, kind: RepoType, id_: str, *, private: bool, author: str) -> Repo:
        """A new repository with the Hub's initial commit."""
        with self.lock:
            if self.find(kind, id_) is not None:
                raise conflict(f"You already created this {kind} repo: {id_}")
            folder = self.root / "repos" / f"{kind}s" / id_
            repo = Repo(folder, kind, id_, self.behaviour, private=private, created=now())
            files = {".gitattributes": self.objects.add(GITATTRIBUTES, lfs=False)}
            repo.commit(MAIN, files, title="initial commit", author=author, parent=None)
            self._repos[kind, id_] = repo
            return repo

    def delete(self, repo: Repo) -> None:
        with self.lock:
            del self._repos[repo.type, repo.id]
            shutil.rmtree(repo.folder)
