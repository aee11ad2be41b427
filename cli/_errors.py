"""What the command line says of an error: its fact, and its remedies as what to type."""

from __future__ import annotations

import shlex
import sys

from badx_hub import remedies
from badx_hub.errors import BadxError
from badx_hub.remedies import Notice, OptionValue, Remedy, TrainingCall

PROGRAM = "badx-hub"

# Options that the command line calls something else than the parameter in Python.
_DEMO = "demo"
_ENGLISH = "ud:UD_English-EWT"
_FLAGS = {"options": "--option", "pickles": "--convert", "owner": "--org"}


def message(told: BadxError | Notice) -> str:
    """All that the command line says of an error or a notice: one line, unless it quotes more."""
    return " ".join((told.fact, *map(words, told.remedies)))


def typed() -> str:
    """The command as it was typed."""
    return shlex.join([PROGRAM, *sys.argv[1:]])


def training(call: TrainingCall) -> str:
    """The command that trains an adapter, "badx-hub train en-wo --ratio 5:1 --task pos", or merges it."""
    if call.parents:
        weights = ["--weights", call.weights] if call.weights else []
        return shlex.join([PROGRAM, "merge", *call.parents, *weights, "--name", str(call.name)])
    options = {
        "--ratio": call.ratio,
        "--task": call.task,
        "--data": _data(call) or ("SOURCE" if call.sentences else None),
        "--setup": call.setup,
        "--base": call.base,
        "--seed": call.seed,
        "--label": call.label,
    }
    parts = [part for flag, value in options.items() if value is not None for part in (flag, str(value))]
    for language, count in call.sentences:
        parts += ["--data", f"{language}=FILE", "--limit", f"{language}={count}"]
    return shlex.join([PROGRAM, "train", call.mixture, *parts])


def _data(call: TrainingCall) -> str | None:
    """The annotated data that training a task adapter needs; the recipe of the embedded base has its own."""
    if call.task is None or call.base == _DEMO:
        return None
    return _ENGLISH if call.mixture.startswith("en") and call.task in ("pos", "dp") else "FOLDER"


def words(remedy: Remedy) -> str:
    """The remedy as one or more sentences for somebody at a prompt."""
    match remedy:
        case remedies.Advice():
            return remedy.told(_flag)
        case remedies.ListAdapters():
            where = f" --registry {shlex.quote(remedy.registry)}" if remedy.registry else ""
            return f"See `{PROGRAM} list{where}`."
        case remedies.SearchHub():
            return f"Look for others: `{PROGRAM} search`."
        case remedies.VerifyAdapter():
            return f"Check it with `{PROGRAM} verify '{remedy.name}'`."
        case remedies.RemoveAdapter():
            force = " --force" if remedy.force else ""
            force += f" --registry {shlex.quote(remedy.registry)}" if remedy.registry else ""
            renew = " and pull or train it again" if remedy.renew else ""
            return f"Remove it (`{PROGRAM} remove '{remedy.name}'{force}`){renew}."
        case remedies.PullAdapter():
            if remedy.origin is None:
                return f"Get that very adapter (`{PROGRAM} pull '{remedy.name}' --from ORG`, or --from ./DIR)."
            revision = f" --revision {remedy.commit}" if remedy.commit else ""
            return f"Get it with `{PROGRAM} pull '{remedy.name}' --from {shlex.quote(remedy.origin)}{revision}`."
        case remedies.PushAdapter():
            push = f"{PROGRAM} push '{remedy.name}' --to {remedy.owner}"
            return f"Choose another: `{push} --tag NAME`." if remedy.tag else f"Publish it with `{push}`."
        case remedies.TrainAdapters():
            return f"To {remedy.goal}: {', then '.join(f'`{training(call)}`' for call in remedy.calls)}."
        case remedies.TakeNearest():
            return remedy.told(_flag, " ", "`")
        case remedies.WriteLock():
            if remedy.mixture is None:
                return f"Write it again with `{PROGRAM} lock PAIR --task TASK`."
            verb, output = ("Add", f" --output {shlex.quote(remedy.output)}") if remedy.output else ("Write", "")
            return f"{verb} it with `{PROGRAM} lock {remedy.mixture} --task {remedy.task}{output}`."
        case remedies.ListRecipes():
            return f"Type `{PROGRAM} recipes` to see the presets."
        case remedies.CopyPreset():
            return f"Start from `{PROGRAM} recipes {remedy.preset} > my.yaml`."
        case remedies.ConvertWeights():
            convert = f"make safetensors of it (`{PROGRAM} convert DIR`)"
            return f"Where you trust it, download it, {convert} and import that folder."
        case remedies.ConvertBase():
            return f"Convert it once (`{PROGRAM} convert {shlex.quote(remedy.base)}`), then run the same command again."
        case remedies.CompareBases():
            text = shlex.quote(f"{remedy.language}={remedy.source}")
            return f"Type `{PROGRAM} bases --text {text}` to see how others read it."
        case remedies.ImportAdapter():
            return f"A language adapter of others is imported: `{PROGRAM} import {remedy.place} --language LANG`."
        case remedies.RunAgain():
            return f"Run the same command again{remedy.addition}."
        case remedies.ResumeTraining():
            return f"The same command goes on from there: {typed()}"
    raise TypeError(f"no words for {type(remedy).__name__}")


def _flag(name: str, value: OptionValue) -> str:
    """An option as it is typed."""
    flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
    if value is None or value is True:
        return flag
    if isinstance(value, tuple):
        value = "=".join(value)
    return f"{flag} {shlex.quote(str(value))}"
