"""What an error says: one fact, advice for Python callers in `str`, and advice that works as typed at a prompt."""

from __future__ import annotations

import ast
import pickle
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from badx_hub import remedies
from badx_hub.cli import app, application
from badx_hub.cli._errors import _FLAGS, message, training, words
from badx_hub.errors import BadxError, HubError, StorageError, UsageError
from badx_hub.remedies import Advice, Remedy, TrainingCall, in_python

SOURCES = Path(remedies.__file__).parent
COMMAND = re.compile(r"`badx-hub (?P<rest>[^`]+)`")

CALLS = (
    TrainingCall("wo", base="a b"),
    TrainingCall("en-wo", ratio="5:1", task="pos", setup="mad-x", base="demo", seed=2),
    TrainingCall("en+wo+LANG", label="x"),
    TrainingCall("en-wo", task="pos", sentences=(("wo", 100),)),
    TrainingCall("en-wo", label="merged", parents=("mbert/en", "mbert/wo"), name="mbert/en-wo@3:7#merged"),
)
EXAMPLES: tuple[Remedy, ...] = (
    Advice("Give {} or less.", (("max_length", 128),)),
    Advice("Give {}.", (("text", ("wo", "FILE")), ("force", True))),
    remedies.ListAdapters(),
    remedies.SearchHub(),
    remedies.VerifyAdapter("mbert/en-wo"),
    remedies.RemoveAdapter("mbert/en-wo#seed2", force=True, renew=True),
    remedies.RemoveAdapter("mbert/en-wo", registry="./a folder"),
    remedies.PullAdapter("mbert/en-wo"),
    remedies.PullAdapter("mbert/en-wo", "./a folder"),
    remedies.PullAdapter("mbert/en-wo", "hf:org", "0123456789abcdef0123456789abcdef01234567"),
    remedies.PushAdapter("mbert/en-wo", "org"),
    remedies.PushAdapter("mbert/en-wo", "org", tag=True),
    remedies.TrainAdapters(CALLS),
    remedies.TakeNearest(
        (
            remedies.NearestAdapter("mbert/en-wo@5:1", "another ratio", "en-wo@5:1", (("ratio", "5:1"),)),
            remedies.NearestAdapter("mbert/en-bm", "a related target", "en-bm"),
        )
    ),
    remedies.WriteLock(),
    remedies.WriteLock("en-wo", "pos"),
    remedies.WriteLock("en-wo", "pos", "a b.lock"),
    remedies.ListRecipes(),
    remedies.CopyPreset(),
    remedies.ConvertWeights(),
    remedies.CompareBases("wo", "a b.txt"),
    remedies.ConvertBase("org/base@refs/pr/1"),
    remedies.ImportAdapter("org/la-wolof"),
    remedies.RunAgain(" once it is finished"),
    remedies.ResumeTraining(),
)


def test_every_remedy_has_words_for_both_readers() -> None:
    kinds = set(Remedy.__subclasses__())
    assert {type(example) for example in EXAMPLES} == kinds
    for table in (words, in_python):
        assert all(table(example) for example in EXAMPLES)
        with pytest.raises(TypeError, match="no words for Remedy"):
            table(Remedy())


@pytest.mark.parametrize("remedy", EXAMPLES, ids=lambda remedy: type(remedy).__name__)
def test_words_are_sentences_and_python_ones_name_no_command(remedy: Remedy) -> None:
    told = in_python(remedy)
    assert told[0].isupper() and told.endswith(".")
    assert "badx-hub" not in told and " --" not in told
    assert words(remedy)[0].isupper()


@pytest.mark.parametrize(
    "command", dict.fromkeys(found for one in EXAMPLES for found in COMMAND.findall(words(one))), ids=str
)
def test_commands_in_advice_exist_with_these_options(command: str) -> None:
    name, *rest = takewhile(lambda word: word != ">", shlex.split(command))
    result = CliRunner().invoke(application(name), [name, "--help", *rest])
    assert result.exit_code == 0, result.output


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCES.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_options_in_advice_exist() -> None:
    """The names of options are literals wherever advice is given."""
    group = typer.main.get_command(app)
    commands: list[Any] = list(group.commands.values())  # type: ignore[attr-defined]
    commands += [inner for command in commands for inner in getattr(command, "commands", {}).values()]
    flags = {flag for command in commands for one in command.params for flag in one.opts}
    named = {
        ast.literal_eval(option.elts[0])
        for _, tree in trees()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", None) == "Advice" and len(call.args) > 1
        for option in getattr(call.args[1], "elts", ())
    }
    known = {name for name in named if _FLAGS.get(name, f"--{name.replace('_', '-')}") in flags}
    assert known == named


def test_an_error_speaks_to_both_and_survives_a_pickle() -> None:
    error = UsageError("max_length is 256.", remedies=(EXAMPLES[0], EXAMPLES[2]))
    assert (
        str(error)
        == "max_length is 256. Give max_length=128 or less. Call open_registry().list() to see what is there."
    )
    assert message(error) == "max_length is 256. Give --max-length 128 or less. See `badx-hub list`."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    hub = pickle.loads(pickle.dumps(HubError("It failed.", 500, remedies=(EXAMPLES[3],))))
    assert (hub.status, hub.remedies) == (500, (EXAMPLES[3],))
    storage = StorageError("The disk is full.", remedies=(Advice("Free some space."),))
    assert str(storage) == message(storage) == "The disk is full. Free some space."
    assert isinstance(storage, OSError) and isinstance(error, BadxError)


def test_the_command_that_trains() -> None:
    assert training(CALLS[0]) == "badx-hub train wo --base 'a b'"
    assert training(CALLS[1]) == "badx-hub train en-wo --ratio 5:1 --task pos --setup mad-x --base demo --seed 2"
    few = "badx-hub train en-wo --task pos --data {} --data wo=FILE --limit wo=100"
    assert training(CALLS[3]) == few.format("ud:UD_English-EWT")
    assert training(replace(CALLS[3], base="demo")) == few.format("SOURCE").replace("SOURCE", "SOURCE --base demo")


# Where the library may name a command: texts that tell people who read a file how to use the command line.
SPEAKS_COMMAND_LINE = {
    "registry/cards.py": "model cards show how to use the adapter in a shell",
    "registry/lock.py": "the header of a lock file says what wrote it",
    "remedies.py": "its documentation shows both ways to write an option",
    "__main__.py": "it is the command",
}
TYPED = re.compile(r"\bbadx-hub [a-z]|(?<![\w-])--[a-z][a-z-]+")


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES)))
def test_the_library_does_not_speak_command_line(path: Path) -> None:
    """No text in it, documentation included, names a command or an option as it is typed."""
    if str(path.relative_to(SOURCES)) in SPEAKS_COMMAND_LINE:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = [one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    assert [found for text in texts for found in TYPED.findall(text)] == []


def errors_of(classes: Sequence[ast.ClassDef]) -> frozenset[str]:
    """The names of the classes that are errors of ours, from the source, as what is imported depends on other tests."""
    found = {"BadxError"}
    while new := {
        one.name for one in classes if one.name not in found and {ast.unparse(base) for base in one.bases} & found
    }:
        found |= new
    return frozenset(name for name in found if not name.startswith("_"))  # A private one is never seen outside.


ERRORS = errors_of([node for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)])
NAMES_IN_FRONT = ("badx_hub", "predict", "max_length")
COMMANDS_TO_COPY = ("iconv ", "tr ")
QUOTES = (".fact", "{fact}", "one_line(", "hint", "HINT", "_nearest")


def spoilt(text: ast.expr) -> bool:
    """Whether the literals of a message show that it begins small or ends without a full stop.

    A message may begin with a name as it is written, quote another message at its end, or end with a command to copy.
    """
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    first, last = parts[0], parts[-1]
    if isinstance(first, ast.Constant) and first.value[:1].islower() and not first.value.startswith(NAMES_IN_FRONT):
        return True
    if isinstance(last, ast.Constant):
        return not last.value.rstrip('"').endswith((".", "?", "!")) and not last.value.rpartition(": ")[2].startswith(
            COMMANDS_TO_COPY
        )
    return not any(quoted in ast.unparse(last) for quoted in QUOTES)


def messages(tree: ast.Module) -> Iterator[ast.expr]:
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        is_error = getattr(call.func, "id", None) in ERRORS
        texts = [one for one in call.args if is_text(one)] if is_error else []
        yield from texts[:1]  # In front of it there may be a number, such as an HTTP status.


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_messages_are_sentences_with_a_capital_and_a_full_stop() -> None:
    found = [(path.name, ast.unparse(text)) for path, tree in trees() for text in messages(tree) if spoilt(text)]
    assert found == []
    bad = ast.parse('UsageError("no such thing."); UsageError(f"No such {thing}"); UsageError("It is so")')
    assert all(map(spoilt, messages(bad))) and len(list(messages(bad))) == 3
