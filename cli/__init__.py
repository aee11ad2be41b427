"""The command line: thin, typed commands over the library.

Data goes to stdout and everything else to stderr. Exit codes: 0; 1 for a known error; 2 for wrong usage; 130
after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP. Nothing here imports torch before a command that needs tensors
runs.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from signal import Signals
from typing import Annotated, Any

import typer

from badx_hub.cli import _output, _processes
from badx_hub.cli._errors import PROGRAM, message
from badx_hub.errors import BadxError, TrainingInterrupted, UsageError, is_panic

DEBUG_VARIABLE = "BADX_HUB_DEBUG"
INTERRUPTED = 130
_SIGNALLED = (INTERRUPTED, 143, 129)

# Name, module and function, example. A command's module is imported when the command is: none pays for the others.
_COMMANDS = (
    ("train", "train:train", "train en-wo --base demo --text en=en.txt --text wo=wo.txt"),
    ("evaluate", "evaluate:evaluate", "evaluate en-wo --task pos --data ud:UD_Wolof-WTB"),
    ("compare", "compare:compare", "compare en-wo --task pos --setups bad-x,mad-x --data ud:UD_Wolof-WTB"),
    ("predict", "predict:predict", 'predict en-wo --task pos "Nanga def?"'),
    ("annotate", "annotate:annotate", "annotate en-wo wo.conllu --tasks pos,dp -o annotated.conllu"),
    ("view", "view:view", "view annotated.conllu --gold gold.conllu"),
    ("serve", "serve:serve", "serve en-wo --registry demo"),
    ("merge", "merge:merge", "merge en wo --weights 3,7"),
    ("list", "list_adapters:list_adapters", "list en-wo --format json"),
    ("info", "info:info", "info en-wo --task pos"),
    ("verify", "verify:verify", "verify"),
    ("remove", "remove:remove", "remove mbert/en-wo/pos"),
    ("push", "push:push", "push en-wo --task pos --to ORG"),
    ("pull", "pull:pull", "pull en-wo --task pos --from ORG"),
    ("search", "search:search", "search --source en --target wo --task pos"),
    ("zoo", "zoo:zoo", "zoo --org ORG -o zoo.md"),
    ("space", "space:space", "space en-wo --task pos --to ./my-space"),
    ("lock", "lock:lock", "lock en-wo --task pos"),
    ("import", "import_adapter:import_adapter", "import ./la-wo --language wo --base xlm-roberta-base"),
    ("convert", "convert:convert", "convert ./old-adapter"),
    ("rank-sources", "rank_sources:rank_sources", "rank-sources wo --text wo=wo.txt --text en=en.txt --text fr=fr.txt"),
    ("tune-ratio", "tune_ratio:tune_ratio", "tune-ratio en-wo --task pos --budget 3000 --base demo"),
    ("bases", "bases:bases", "bases --text wo=wolof.txt"),
    ("recipes", "recipes:recipes", "recipes paper > my.yaml"),
    ("doctor", "doctor:doctor", "doctor --mend"),
    ("demo", "demo:demo", "demo"),
)
_GROUPS = (("study", "study:app", "study plan studies/small.yaml"),)


def _print_version(asked: bool) -> None:
    if asked:
        from badx_hub import __version__

        _output.write(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Bilingual adapters (BAD-X): from a language pair to a ready model.

    PAIR is source-target, as in en-wo; wo and en+bm+wo (LA, MA) will do too.
    """


def application(word: str | None = None) -> typer.Typer:
    """The command line; with the name of a command in `word`, that command's part of it."""
    app = typer.Typer(
        name=PROGRAM,
        no_args_is_help=True,
        # Plain help: it keeps to 80 columns, and `--help` need not load rich.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=f"Start with: {PROGRAM} demo. Every command has its own --help with an example.",
    )
    app.callback()(_root)
    known = word in [name for name, _, _ in (*_COMMANDS, *_GROUPS)]
    for name, place, example in _COMMANDS:
        if name == word or not known:
            app.command(name, epilog=f"Example: {PROGRAM} {example}")(_at(place))
    for name, place, example in _GROUPS:
        if name == word or not known:
            app.add_typer(_at(place), name=name, epilog=f"Example: {PROGRAM} {example}")
    return app


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return application()


def _at(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def main() -> None:
    """Run the command line on `sys.argv` and exit; the one place where errors become messages and exit codes."""
    _output.use_utf8()
    if not os.environ.get(DEBUG_VARIABLE):
        _output.hush_libraries()
    _output.show_warnings()
    sys.exit(_output.flushed(_run()))


def _run() -> int:
    try:
        application(sys.argv[1] if len(sys.argv) > 1 else None)(prog_name=PROGRAM)
    except BadxError as error:
        if os.environ.get(DEBUG_VARIABLE):
            traceback.print_exc()
        _processes.end_by_oneself()
        if _processes.tells(error):
            _output.error(_processes.from_here(message(error)))
        return _exit_code(error)
    except KeyboardInterrupt:
        return _interrupted()
    except _processes.Ended as end:
        return end.code
    except OSError as error:
        if _output.is_of_stdout(error):  # The help went to an output that takes nothing.
            return _output.unwritable(error)
        if os.environ.get(DEBUG_VARIABLE):
            traceback.print_exc()
        _output.error(f"The system refused: {_reason(error)}. Check that, then run the same command again.")
        return 1
    except SystemExit as stop:
        # Typer turns Ctrl-C into its code and says nothing; `badx_hub.__main__` does that with other signals.
        code = int(stop.code or 0)
        return _interrupted(code) if code in _SIGNALLED else code
    except BaseException as error:
        if not is_panic(error):
            raise
        reason = " ".join(str(error).split()).rstrip(".")
        _output.error(f"A library gave up on this text or base: {reason}. Try another one.")
        return 1
    return 0


def _reason(error: OSError) -> str:
    """What failed, and of which file where the system says it."""
    reason = " ".join((error.strerror or str(error) or type(error).__name__).split()).rstrip(".")
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def _interrupted(code: int = INTERRUPTED) -> int:
    _processes.end_by_oneself()
    if _processes.is_first():
        cause = "Interrupted" if code == INTERRUPTED else f"Stopped by {Signals(code - 128).name}"
        _output.error(f"{cause}. Nothing half-written was kept. Run the same command again to do what is left.")
    return code


def _exit_code(error: BadxError) -> int:
    if isinstance(error, UsageError):
        return 2
    return error.exit_code if isinstance(error, TrainingInterrupted) else 1
