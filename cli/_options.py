"""Arguments and options that commands share. Only typer is imported: `--help` has to be quick."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli._completion import complete_name, complete_pair
from badx_hub.cli._output import Format
from badx_hub.errors import UsageError

if TYPE_CHECKING:
    from badx_hub.languages import Mixture


class SetupName(str, Enum):
    """What the task adapter is used on; the values are those of `badx_hub.setups.SETUPS`."""

    BAD_X = "bad-x"
    MAD_X = "mad-x"
    MA = "ma"
    TLR = "tlr"
    MAD_X_MERGED = "mad-x-merged"
    BAD_X_MERGED = "bad-x-merged"
    SOURCE_KEPT = "source-kept"
    SOURCE_DROPPED = "source-dropped"
    TA_ONLY = "ta-only"
    FULL = "full"


class Fallback(str, Enum):
    """What may serve where nothing fits; the values are those of `badx_hub.setups.FALLBACKS`."""

    MAD_X = "mad-x"
    NEAREST_LA = "nearest-la"
    PROXY_LA = "proxy-la"


class PrecisionName(str, Enum):
    """What matrix products are computed in; the values are those of `badx_hub.recipes.Precision`."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


class SplitName(str, Enum):
    """The parts of an annotated corpus; the values are those of `badx_hub.data.splits.SPLITS`."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


def _precision(default: str = "") -> Any:
    return typer.Option(
        "--precision",
        metavar="auto|fp32|bf16",
        help=f"Of matrix products; auto: what this machine is best at.{default}",
    )


def base_option(help: str) -> Any:
    """`--base`, with a help text of its own."""
    return typer.Option("--base", metavar="MODEL", callback=_named_base, help=help)


def _named_base(base: str | None) -> str | None:
    # An empty one, such as of a variable that is not set, would be the default base without a word.
    if base is not None and not base.strip():
        raise UsageError("--base is empty. Give a Hub id, a folder or `demo`, or leave --base out.")
    return base


PairArgument = Annotated[
    str, typer.Argument(metavar="PAIR", autocompletion=complete_pair, help="Source-target: en-wo (also wo, en+bm+wo).")
]
NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", autocompletion=complete_name, help="A name (mbert/en-wo/pos) or a pair (en-wo)."),
]
TaskOption = Annotated[str | None, typer.Option("--task", metavar="TASK", help="The task, such as pos.")]
RequiredTaskOption = Annotated[str, typer.Option("--task", metavar="TASK", help="The task, such as pos.")]
SetupOption = Annotated[
    SetupName,
    typer.Option(
        "--setup",
        metavar="SETUP",  # All choices between bars would be wider than a terminal.
        help="Which adapters a task adapter is used on, in training and at inference: "
        f"{', '.join(one.value for one in SetupName)}.",
    ),
]
BaseOption = Annotated[str | None, base_option("The base: a Hub id, a folder or demo.")]
RatioOption = Annotated[
    str | None, typer.Option("--ratio", metavar="N:M", help="Source to target batches, such as 5:1.")
]
LabelOption = Annotated[
    str | None, typer.Option("--label", metavar="LABEL", help="Last field of the name, such as seed2.")
]
VersionOption = Annotated[
    str | None, typer.Option("--version", metavar="V", help="A version, or the first digits that `list` shows of it.")
]
RegistryOption = Annotated[
    str | None,
    typer.Option("--registry", metavar="DIR", help="A registry: a folder, demo or hf:ORG. [default: your own]"),
]
RevisionOption = Annotated[
    str | None, typer.Option("--revision", metavar="REV", help="On the Hub: a branch, a tag or a commit.")
]
FallbackOption = Annotated[
    Fallback | None,
    typer.Option(
        "--fallback",
        help="Where nothing fits: the source's task adapter on the target's own adapter, or on related ones.",
    ),
]
LockOption = Annotated[
    Path | None, typer.Option("--lock", metavar="FILE", help="Use exactly the versions of this lock file.")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Ask nothing of the network.")]
InitOption = Annotated[
    str | None,
    typer.Option("--init", metavar="NAME", help="Begin with the weights of this BA, LA or MA. [default: new ones]"),
]
TaskOptionsOption = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="An option of the task (repeatable), such as decoding=greedy."),
]
DataOption = Annotated[
    str, typer.Option("--data", metavar="SOURCE", help="Annotated data of the target: a folder, a file or ud:TREEBANK.")
]
SplitOption = Annotated[SplitName, typer.Option("--split", help="Which part of the data.")]
BatchSizeOption = Annotated[
    int, typer.Option("--batch-size", metavar="N", min=1, help="Windows of 64 sub-words a pass.")
]
PrecisionOption = Annotated[PrecisionName, _precision()]
RecipePrecisionOption = Annotated[PrecisionName | None, _precision(" [default: the recipe's; fp32 in paper]")]
ForceOption = Annotated[bool, typer.Option("--force", help="Train even if this very run is registered.")]
RestartOption = Annotated[
    bool, typer.Option("--restart", help="Drop what stopped runs of this name did, whatever their settings.")
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes", metavar="N", min=1, max=1024, help="Share the work: N GPUs of this machine. [default: 1]"
    ),
]
TimeLimitOption = Annotated[
    str | None, typer.Option("--time-limit", metavar="TIME", help="Stop after, say, 23h or 1h30m, with a checkpoint.")
]
ExtendVocabularyOption = Annotated[
    int | None,
    typer.Option("--extend-vocabulary", metavar="N", help="Sub-words to learn that the base lacks. [default: none]"),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print the result on stdout.")]

_DURATION = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)
_UNITS = (86_400, 3_600, 60, 1)
_SIZE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) ?([MG])B", re.ASCII)


def task_options(given: list[str] | None) -> dict[str, str]:
    """ "decoding=greedy" as {"decoding": "greedy"}; the task checks names and values. Raises UsageError."""
    return key_values("--option", "decoding=greedy", given)


def key_values(flag: str, example: str, given: list[str] | None) -> dict[str, str]:
    """The values of a repeatable option KEY=VALUE by their keys. Raises UsageError."""
    pairs = [text.partition("=") for text in given or []]
    if wrong := [key for key, equals, value in pairs if not (key and equals and value)]:
        raise UsageError(f"{flag} expects KEY=VALUE, such as {example}; got {wrong[0]!r}.")
    return {key: value for key, _, value in pairs}


def duration(text: str, flag: str = "--time-limit") -> float:
    """Seconds: "23h", "1h30m", "90m" or "45s". Raises UsageError."""
    found = _DURATION.fullmatch(text.strip())
    seconds = sum(int(number or 0) * unit for number, unit in zip(found.groups(), _UNITS, strict=True)) if found else 0
    if not seconds:
        raise UsageError(f"{flag} expects a time such as 23h, 1h30m, 90m or 45s; got {text[:40]!r}.")
    return float(seconds)


def size(text: str, flag: str) -> int:
    """Bytes: "3GB", "1.5GB" or "800MB". Raises UsageError."""
    found = _SIZE.fullmatch(text.strip())
    count = round(float(found[1]) * {"M": 10**6, "G": 10**9}[found[2]]) if found else 0
    if not count:
        raise UsageError(f"{flag} expects a size such as 3GB, 1.5GB or 800MB; got {text[:40]!r}.")
    return count


def data_options(given: list[str] | None) -> dict[str | None, str]:
    """Sources of annotated data by language, as it is written; None: of the source language, none was named.

    What stands before "=" is a language unless it holds a character of paths or of other sources: "./a=b" is a path.
    Raises UsageError for a language that is given twice or has no source.
    """
    found: dict[str | None, str] = {}
    for text in given or []:
        before, equals, after = text.partition("=")
        named = equals and not any(mark in before for mark in "/\\:.~")
        language, source = (before.strip(), after.strip()) if named else (None, text.strip())
        if not source or language == "":
            raise UsageError(f"--data expects SOURCE or LANG=SOURCE, such as wo=my.conllu; got {text!r}.")
        if language in found:
            raise UsageError(f"--data is given twice for {language or 'the source'}. Put the files into one folder.")
        found[language] = source
    return found


def limit_options(given: list[str] | None) -> dict[str, int]:
    """ "wo=100" as {"wo": 100}. Raises UsageError."""
    found = {}
    for language, text in key_values("--limit", "wo=100", given).items():
        if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is None:
            raise UsageError(f"--limit expects LANG=N, such as wo=100; got {text!r} in place of a whole number.")
        found[language] = int(text)
    return found


def text_option(given: str) -> tuple[str, str]:
    """ "wol=wolof.txt" as ("wo", "wolof.txt"): the normalised language and its source. Raises UsageError."""
    from badx_hub.languages import normalise

    language, _, source = (part.strip() for part in given.partition("="))
    if not language or not source:
        raise UsageError(f"--text expects LANG=SOURCE; got {given!r}. For instance --text wo=wolof.txt.")
    return normalise(language), source


def text_options(given: list[str] | None, mixture: Mixture | None = None) -> dict[str, str]:
    """Language -> source. Raises UsageError, also for a language given twice or not in the mixture, if there is one."""
    found: dict[str, str] = {}
    for option in given or []:
        language, source = text_option(option)
        if mixture is not None and language not in mixture.languages:
            raise UsageError(
                f"--text {option} is about {language}, which is not in {mixture}. "
                f"Give text of {' or '.join(mixture.languages)}, or name another pair."
            )
        if language in found:
            raise UsageError(f"--text is given twice for {language}. Put the files into one folder.")
        found[language] = source
    return found
