"""The whole story of commands against one server, as its users type them, and what is wrong with how each ended."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.hub.machine import Ended, Machine
from tests.hub.server import HubServer
from tests.hub.story import BA, CARD, PAIR, TA, TEXT, Story, content_of

# What a user may have to bear of one command: seconds of waiting, empty pages in a row, characters of a line.
LONGEST_WAIT, MOST_EMPTY_PAGES, LONGEST_LINE = 60.0, 1, 600

Check = Callable[[Ended], Iterable[str]]


@dataclass(frozen=True)
class Step:
    """One command of a walk, and what is `wrong` with how it ended: nothing, if all is well."""

    name: str
    ended: Ended
    wrong: tuple[str, ...]


@dataclass
class Walk:
    """A walk on its way."""

    hub: HubServer
    story: Story
    folder: Path
    steps: list[Step] = field(default_factory=list)

    def machine(self, name: str, token: str | None = None) -> Machine:
        """The machine of that name, logged in as a stranger unless told otherwise."""
        return Machine(self.folder / name, self.hub.other_token if token is None else token)

    def step(
        self, name: str, machine: Machine, *command: str | Path, code: int = 0, check: Check | None = None
    ) -> None:
        """Type a command; it should end with `code`, and `check` tells what else is wrong."""
        self.hub.requests.clear()
        ended = machine.run(*command)
        wrong = [*manners(ended, code), *self._traffic(ended)]
        if check is not None:
            wrong += check(ended)
        self.steps.append(Step(name, ended, tuple(wrong)))

    def _traffic(self, ended: Ended) -> Iterator[str]:
        if (pages := self.hub.empty_pages) > MOST_EMPTY_PAGES:
            yield f"it asked for {pages} empty pages in a row"
        if sent := self.hub.tokens_elsewhere():
            yield f"the token went to another host: {sent}"
        tokens = (self.hub.token, self.hub.read_token, self.hub.other_token)
        if any(token in "\n".join((ended.out, *ended.err)) for token in tokens):
            yield "a token is in the output"

    def arrived(self, repo: str, revision: str = "main", *, newer: bool = False) -> Check:
        """The repository has the version, to the byte. Else it is put there, so that later steps have what to read."""

        def check(_: Ended) -> Iterator[str]:
            entry = self.story.entry(repo.partition("/")[2], newer=newer)
            expected = content_of(entry)
            there = self.hub.files(repo, revision) if self._has(repo, revision) else {}
            wrong = [file for file, content in expected.items() if there.get(file) != content]
            if wrong:
                yield f"{repo}@{revision} has not, or has otherwise: {', '.join(sorted(wrong))}"
                card = {CARD: Path(entry.location, CARD).read_bytes()}
                self.hub.put(repo, expected | card, revision=revision, private=repo.startswith("lab/"))

        return check

    def _has(self, repo: str, revision: str) -> bool:
        return repo in self.hub.repos() and f"refs/heads/{revision}" in self.hub.refs(repo)

    def pulled(self, machine: Machine, *, newer: bool = False) -> Check:
        """The machine's registry has both adapters, to the byte. Else they are put there, for the steps after this."""

        def check(_: Ended) -> Iterator[str]:
            here = {entry.version: entry for entry in machine.registry.list()}
            expected = [self.story.entry(repo, newer=newer and repo == TA) for repo in (BA, TA)]
            wrong = [f"{one.name} {one.version} is not there" for one in expected if one.version not in here]
            wrong += [
                f"{one.name} {one.version} has other bytes"
                for one in expected
                if one.version in here and content_of(here[one.version]) != content_of(one)
            ]
            if wrong:
                source = self.story.later if newer else self.story.first
                shutil.copytree(source, machine.registry.root, dirs_exist_ok=True)
            yield from wrong

        return check

    def unchanged(self) -> Check:
        """The server's repositories and refs are what they are now."""
        before = self._refs()

        def check(_: Ended) -> Iterator[str]:
            if self._refs() != before:
                yield f"the server was changed: {self._refs()}, before {before}"

        return check

    def _refs(self) -> dict[str, dict[str, str]]:
        return {repo: self.hub.refs(repo) for repo in self.hub.repos()}


def walk(hub: HubServer, story: Story, folder: Path) -> tuple[Step, ...]:
    """Walk through all commands that touch a Hub; nothing of the server's mode is known here.

    Where a push fails, what it should have published is put on the server from behind, so that the steps after it are
    judged by themselves.
    """
    way = Walk(hub, story, folder)
    author = way.machine("author", hub.token)
    shutil.copytree(story.first, author.registry.root)
    _publish(way, author)
    _read(way)
    first = hub.refs(f"acme/{TA}")["refs/heads/main"]
    shutil.copytree(story.later, author.registry.root, dirs_exist_ok=True)
    _newer(way, author, first)
    _branches(way, author)
    _private(way, author)
    _refusals(way, author)
    return tuple(way.steps)


def _publish(way: Walk, author: Machine) -> None:
    push = ("push", *PAIR, "--to", "acme")
    way.step("push-dry-run", author, *push, "--dry-run", check=way.unchanged())
    way.step("push", author, *push, check=_all(way.arrived(f"acme/{BA}"), way.arrived(f"acme/{TA}")))
    way.step("push-again", author, *push, check=_all(way.unchanged(), _says("Nothing to do")))
    way.step("push-again-dry-run", author, *push, "--dry-run", check=_says("nothing to do"))


def _read(way: Walk) -> None:
    reader = way.machine("reader")
    exact = ("--source", "en", "--target", "wo", "--task", "pos", "--format", "quiet")
    way.step("search-org", reader, "search", "--org", "acme", *exact, check=_prints(f"acme/{TA}"))
    way.step("search", reader, "search", *exact, check=_prints(f"acme/{TA}"))
    names = ("tiny/en-wo", "tiny/en-wo/pos")
    way.step("list", reader, "list", "--registry", "hf:acme", "--format", "quiet", check=_prints(*names))
    way.step("info", reader, "info", f"acme/{TA}", "--format", "json", check=_has(way.story.entry(TA).version))
    way.step("verify-hub", reader, "verify", "--registry", "hf:acme", check=_has("tiny/en-wo/pos"))
    way.step("pull", reader, "pull", *PAIR, "--from", "acme", check=way.pulled(reader))
    way.step("pull-again", reader, "pull", *PAIR, "--from", "acme", check=_says("Nothing to do"))
    way.step("verify", reader, "verify", check=_has("tiny/en-wo/pos"))
    lock = ("lock", *PAIR, "--registry", "hf:acme", "-o", way.folder / "badx.lock")
    way.step("lock", reader, *lock, check=_has(way.story.entry(TA).version))


def _newer(way: Walk, author: Machine, first: str) -> None:
    reader, other, locked = way.machine("reader"), way.machine("other"), way.machine("locked")
    repo = f"acme/{TA}"
    push = ("push", *PAIR, "--to", "acme")
    way.step("push-next", author, *push, "--revision", "next", check=way.arrived(repo, "next", newer=True))
    before = way.machine("before", way.hub.token)
    shutil.copytree(way.story.first, before.registry.root)
    still = _all(way.unchanged(), _says("Nothing to do"))
    way.step("push-again-beside-next", before, *push, check=still)
    way.step("push-newer", author, *push, check=way.arrived(repo, newer=True))
    way.step("pull-newer", reader, "pull", *PAIR, "--from", "acme", check=way.pulled(reader, newer=True))
    way.step("pull-commit", other, "pull", repo, "--revision", first, check=way.pulled(other))
    predict = ("predict", *PAIR, "--lock", way.folder / "badx.lock", "--base", way.story.base, TEXT)
    way.step("predict-locked", locked, *predict, check=_prints(*way.story.predicted.splitlines()))


def _branches(way: Walk, author: Machine) -> None:
    repo = f"acme/{TA}"
    head = way.hub.refs(repo)["refs/heads/main"]

    def tagged(_: Ended) -> Iterator[str]:
        if way.hub.refs(repo).get("refs/tags/v1") != head:
            yield "the tag v1 is not on the commit"
            way.hub.api().create_tag(repo, tag="v1", exist_ok=True)

    way.step("push-tag", author, "push", *PAIR, "--to", "acme", "--tag", "v1", check=tagged)
    reader = way.machine("tag-reader")
    way.step("pull-tag", reader, "pull", repo, "--revision", "v1", check=way.pulled(reader, newer=True))
    onto_tag = ("push", *PAIR, "--to", "acme", "--revision", "v1")
    way.step("push-to-tag", author, *onto_tag, code=2, check=_all(way.unchanged(), _says("tag")))
    for name, branch in (("draft", "draft"), ("slash", "drafts/one")):
        there = [way.arrived(f"tester/{one}", branch, newer=one == TA) for one in (BA, TA)]
        push = ("push", *PAIR, "--to", "tester", "--revision", branch)
        way.step(f"push-{name}", author, *push, check=_all(*there))
        way.step(f"push-{name}-again", author, *push, check=_all(way.unchanged(), _says("Nothing to do")))
        reader = way.machine(f"{name}-reader")
        pull = ("pull", f"tester/{TA}", "--revision", branch)
        way.step(f"pull-{name}", reader, *pull, check=way.pulled(reader, newer=True))


def _private(way: Walk, author: Machine) -> None:
    push = ("push", *PAIR, "--to", "acme", "--private")
    refused = _all(way.unchanged(), _says("--private"))
    way.step("push-private-to-public-dry-run", author, *push, "--dry-run", code=2, check=refused)
    way.step("push-private-to-public", author, *push, code=2, check=refused)
    repos = [f"lab/{one}" for one in (BA, TA)]

    def hidden(_: Ended) -> Iterator[str]:
        for repo in repos:
            if repo in way.hub.repos() and not way.hub.is_private(repo):
                yield f"{repo} is public"

    there = [way.arrived(repo, newer=repo.endswith("pos")) for repo in repos]
    way.step("push-private", author, "push", *PAIR, "--to", "lab", "--private", check=_all(hidden, *there))
    owner, stranger = way.machine("owner", way.hub.read_token), way.machine("stranger")
    way.step("pull-private", owner, "pull", *PAIR, "--from", "lab", check=way.pulled(owner, newer=True))
    for name, token in (("stranger", way.hub.other_token), ("anonymous", "")):
        visitor = way.machine(name, token)
        login = _says("log in")
        way.step(f"pull-private-{name}", visitor, "pull", *PAIR, "--from", "lab", code=1, check=login)
        way.step(f"info-private-{name}", visitor, "info", f"lab/{TA}", code=1, check=login)
    way.step("pull-absent", stranger, "pull", "acme/tiny.en-fo", code=1, check=_says("acme/tiny.en-fo"))


def _refusals(way: Walk, author: Machine) -> None:
    left = way.unchanged()
    remove = ("remove", *PAIR, "--registry", "hf:acme", "--yes")
    way.step("remove", author, *remove, code=2, check=_all(left, _says("deletes nothing")))
    reader = Machine(author.home, way.hub.read_token)
    forbidden = _all(left, _says("may not do that"))
    way.step("push-read-only", reader, "push", *PAIR, "--to", "tester", code=1, check=forbidden)
    others = _all(left, _says("may not do that", "log in"))  # a Hub may tell whether it is there, or not
    way.step("push-to-others", author, "push", *PAIR, "--to", "stranger", code=1, check=others)
    nobody = Machine(author.home, "")
    way.step("push-anonymous", nobody, "push", *PAIR, "--to", "stranger", code=1, check=_all(left, _says("log in")))


def manners(ended: Ended, code: int) -> Iterator[str]:
    """What holds of every command: no traceback, the right code, one line for an error, and an end in good time."""
    errors = [line for line in ended.err if line.startswith("error: ")]
    if ended.escaped is not None:
        yield f"a traceback: {ended.escaped.splitlines()[-1]}"
    if ended.code != code:
        yield f"exit code {ended.code} in place of {code}: {' | '.join(ended.err)[-700:]}"
    if ended.code != 0 and (len(errors) != 1 or ended.err[-1] != errors[0]):
        yield f"not one line that says what went wrong: {ended.err}"
    if ended.code == 0 and errors:
        yield f"an error, and exit code 0: {errors}"
    if any(len(line) > LONGEST_LINE or not line.isprintable() for line in ended.err):
        yield f"a line nobody can read: {ended.err}"
    if ended.waited > LONGEST_WAIT:
        yield f"{ended.waited:.0f} s of waiting"


def _all(*checks: Check) -> Check:
    return lambda ended: [found for check in checks for found in check(ended)]


def _says(*texts: str) -> Check:
    """stderr has one of these."""

    def check(ended: Ended) -> Iterator[str]:
        if not any(text in line for text in texts for line in ended.err):
            yield f"says nothing of {' or '.join(texts)}: {' | '.join(ended.err)}"

    return check


def _has(text: str) -> Check:
    """stdout has it."""
    return lambda ended: [] if text in ended.out else [f"prints no {text!r}: {ended.out[-300:]!r}"]


def _prints(*lines: str) -> Check:
    """stdout is these lines, in any order."""
    return lambda ended: [] if sorted(ended.out.splitlines()) == sorted(lines) else [f"prints {ended.out[-300:]!r}"]
