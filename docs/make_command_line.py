"""Writes docs/command-line.md from the program itself: `python docs/make_command_line.py`."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from badx_hub.cli import _COMMANDS, PROGRAM, app, study

PAGE = Path(__file__).with_name("command-line.md")

_INTRODUCTION = """\
# The command line

<!-- Made by docs/make_command_line.py: change the help texts in cli/ and run it again. -->

`badx-hub` and `python -m badx_hub` are the same program. What the commands mean: [training](training.md) and
[the registry](registry.md).

- **Output.** Data go to stdout; progress, notes and errors go to stderr. `--format json` prints one JSON document,
  `--format quiet` bare lines for scripts. `predict` has `--output` instead: `tsv`, `json` or `conllu`.
- **Exit codes.** 0: done. 1: an error that is explained on stderr, or something wrong that `verify` found. 2: wrong
  usage. 130: stopped with Ctrl-C.
- **Completion.** `badx-hub --install-completion` teaches your shell the commands, options and registered pairs.

| Environment variable | Meaning |
|---|---|
| `BADX_HUB_HOME` | where everything is kept, see [the registry](registry.md#where-things-lie) |
| `BADX_HUB_DATA` | folders with treebanks for `ud:` names, see [training](training.md#annotated-data) |
| `BADX_HUB_UD` | the data set on the Hub that has the other treebanks, by default `commul/universal_dependencies` |
| `BADX_HUB_FAST` | set to 0: compute with torch's own dropout and loss, see `badx_hub/modeling/fast/__init__.py` |
| `BADX_HUB_DEBUG` | set to 1: show the traceback of an error and the warnings of the libraries |
"""


def page() -> str:
    """The whole page: the introduction, then the help of the program and of each command, 80 columns wide."""
    steps = [("study", str(command.name)) for command in study.app.registered_commands]
    commands = [(), *((name,) for name, _, _ in _COMMANDS), ("study",), *steps]
    return "\n".join([_INTRODUCTION, *(_section(" ".join(command) or PROGRAM, command) for command in commands)])


def _section(title: str, command: tuple[str, ...]) -> str:
    shown = CliRunner().invoke(app, [*command, "--help"], prog_name=PROGRAM, env={"COLUMNS": "80"}, color=False)
    return f"## {title}\n\n```text\n{shown.stdout.strip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
