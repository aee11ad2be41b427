"""What the user of a failed call can do next, as data, and how Python callers read it.

An error carries remedies (`badx_hub.errors`). A remedy says what helps and holds what it needs for that: a name, an
option, what to train. It does not say how to type it, since that depends on who reads it. `in_python` is the table for
Python callers; the command line has its own (`badx_hub.cli._errors`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

OptionValue = str | int | float | bool | tuple[str, str] | None
"""None: any value. A pair is a key and its value: the text of a language, an option of a task."""


@dataclass(frozen=True)
class Remedy:
    """Something that helps. Each kind has its words in both tables."""


@dataclass(frozen=True)
class Advice(Remedy):
    """A sentence. Each `{}` in it stands for an option: `--max-length 128` to one reader, `max_length=128` to another.

    `options` are (name in Python, value), in the order in which the sentence mentions them. Without any, braces stand
    for themselves.
    """

    sentence: str
    options: tuple[tuple[str, OptionValue], ...] = ()

    def told(self, option: Callable[[str, OptionValue], str]) -> str:
        """The sentence with its options as `option` writes them."""
        return self.sentence.format(*(option(*one) for one in self.options)) if self.options else self.sentence


def one_of(what: str, option: str, values: Sequence[str]) -> Advice:
    """To choose one value of an option."""
    return Advice(f"{what}: {' or '.join(['`{}`'] * len(values))}.", tuple((option, value) for value in values))


@dataclass(frozen=True)
class ListAdapters(Remedy):
    """See what a registry holds; by default the user's own."""

    registry: str | None = None


@dataclass(frozen=True)
class SearchHub(Remedy):
    """See what the Hub holds."""


@dataclass(frozen=True)
class VerifyAdapter(Remedy):
    """Compare an adapter's files with its manifest."""

    name: str


@dataclass(frozen=True)
class RemoveAdapter(Remedy):
    """Take an adapter out of the registry; `force`: even if others were trained on it; `renew`: then get it again.

    `registry`: which one, where it may be another than the user's own.
    """

    name: str
    force: bool = False
    renew: bool = False
    registry: str | None = None


@dataclass(frozen=True)
class PullAdapter(Remedy):
    """Copy an adapter from a registry (`hf:ORG` or a folder) that the user has to name where `origin` is None.

    `commit`: that of the version to copy, on a Hub.
    """

    name: str
    origin: str | None = None
    commit: str | None = None


@dataclass(frozen=True)
class PushAdapter(Remedy):
    """Publish an adapter in a namespace of the Hub; `tag`: under a tag of the user's choice."""

    name: str
    owner: str
    tag: bool = False


@dataclass(frozen=True)
class TrainingCall:
    """One adapter to train. `mixture` has no ratio; "LANG" in it stands for languages that the user chooses.

    `sentences` are languages other than the source, each with the number of annotated sentences to learn from as well.
    Where there are `parents`, it is not trained but merged from adapters of these names, with the weights "3,7" if they
    are not in its `name`.
    """

    mixture: str
    ratio: str | None = None
    task: str | None = None
    setup: str | None = None
    base: str | None = None
    seed: int | None = None
    label: str | None = None
    sentences: tuple[tuple[str, int], ...] = ()
    parents: tuple[str, ...] = ()
    name: str | None = None
    weights: str | None = None


@dataclass(frozen=True)
class TrainAdapters(Remedy):
    """Train these adapters, in this order, "to `goal`"."""

    calls: tuple[TrainingCall, ...]
    goal: str = "train it"


@dataclass(frozen=True)
class TakeNearest(Remedy):
    """Take something similar, best first."""

    choices: tuple[NearestAdapter, ...]

    def told(self, option: Callable[[str, OptionValue], str], joint: str, mark: str = "") -> str:
        """The choices, each with its options as `option` writes them, joined and between two marks."""
        asked = ((one, joint.join(option(*given) for given in one.options) or one.mixture) for one in self.choices)
        return f"Nearest: {'; '.join(f'{one.name} ({one.difference}: {mark}{how}{mark})' for one, how in asked)}."


@dataclass(frozen=True)
class NearestAdapter:
    """One of `TakeNearest`: its name, how it differs, and what asks for it: these options, or else its languages."""

    name: str
    difference: str
    mixture: str
    options: tuple[tuple[str, OptionValue], ...] = ()


@dataclass(frozen=True)
class WriteLock(Remedy):
    """Write a lock file, or with `output` add a stack to the one there is."""

    mixture: str | None = None
    task: str | None = None
    output: str | None = None


@dataclass(frozen=True)
class ListRecipes(Remedy):
    """See the presets."""


@dataclass(frozen=True)
class CopyPreset(Remedy):
    """Start a recipe of one's own from a preset."""

    preset: str = "paper"


@dataclass(frozen=True)
class ConvertWeights(Remedy):
    """Make safetensors of the pickles in a folder."""


@dataclass(frozen=True)
class ConvertBase(Remedy):
    """Make safetensors and a fast tokenizer for a base: a Hub id, perhaps with a revision, or a folder."""

    base: str


@dataclass(frozen=True)
class CompareBases(Remedy):
    """See how well other bases read a text: its language and its source."""

    language: str
    source: str


@dataclass(frozen=True)
class ImportAdapter(Remedy):
    """Register a language adapter that others published, from its place."""

    place: str


@dataclass(frozen=True)
class RunAgain(Remedy):
    """Do the same once more; `addition` follows: when, or why that helps."""

    addition: str = ""


@dataclass(frozen=True)
class ResumeTraining(Remedy):
    """Go on with a training that was stopped."""


@dataclass(frozen=True)
class Notice:
    """Something worth knowing that stops nothing: like an error, a fact and what to do about it."""

    fact: str
    remedies: tuple[Remedy, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.fact, *map(in_python, self.remedies)))


def in_python(remedy: Remedy) -> str:
    """The remedy as one or more sentences for somebody who calls badx_hub from Python."""
    match remedy:
        case Advice():
            return remedy.told(_keyword)
        case ListAdapters():
            where = "" if remedy.registry is None else repr(remedy.registry)
            return f"Call open_registry({where}).list() to see what is there."
        case SearchHub():
            return 'Call open_registry("hf:").list() to see what is there.'
        case VerifyAdapter():
            return f"Check it with registry.verify(registry.get({remedy.name!r}))."
        case RemoveAdapter():
            force = ", force=True" if remedy.force else ""
            return (
                f"Remove it (registry.remove(registry.get({remedy.name!r}){force}))"
                f"{' and pull or train it again' if remedy.renew else ''}."
            )
        case PullAdapter():
            origin = remedy.origin or "hf:ORG"
            named = ", ".join(repr(one) for one in (remedy.name, remedy.commit) if one is not None)
            return f"Get it with copy(source.get({named}), source, registry), source=open_registry({origin!r})."
        case PushAdapter():
            hub = f'hub=open_registry("hf:{remedy.owner}")'
            if remedy.tag:
                return f"Choose another: hub.tag(hub.get({remedy.name!r}), NAME), {hub}."
            return f"Publish it with copy(registry.get({remedy.name!r}), registry, hub), {hub}."
        case TrainAdapters():
            return f"To {remedy.goal}: {', then '.join(map(_training, remedy.calls))}."
        case TakeNearest():
            return remedy.told(_keyword, ", ")
        case WriteLock():
            verb = "Add it" if remedy.output else "Write it again" if remedy.mixture is None else "Write it"
            path = remedy.output or "badx.lock"
            return f"{verb} with badx_hub.registry.lock.write_lock({path!r}, lock_stack(query, resolution, chain))."
        case ListRecipes():
            return "Call badx_hub.recipes.preset_names() to see the presets."
        case CopyPreset():
            return f"Start from badx_hub.recipes.load_recipe({remedy.preset!r})."
        case ConvertWeights():
            return (
                "Where you trust it, download it, make safetensors of it (badx_hub.registry.foreign.convert(DIR)) "
                "and import that folder."
            )
        case ConvertBase():
            call = f"badx_hub.modeling.convert_base.convert_base({remedy.base!r})"
            return f"Convert it once ({call}), then call this again."
        case CompareBases():
            text = f"{remedy.language!r}, {remedy.source!r}"
            return f"Call badx_hub.evaluation.bases.read_text(base, {text}) to see how others read it."
        case ImportAdapter():
            return (
                "A language adapter of others is imported: "
                f"badx_hub.registry.foreign.import_adapter({remedy.place!r}, LANG, registry)."
            )
        case RunAgain():
            return f"Call the same function again{remedy.addition}."
        case ResumeTraining():
            return "Call the same function with the same arguments to go on from there."
    raise TypeError(f"no words for {type(remedy).__name__}")


def _keyword(name: str, value: OptionValue) -> str:
    """An option as a keyword argument; one that may have any value, by its name alone."""
    if value is None:
        return f"`{name}`"
    if name == "to":  # A namespace or a folder, which is a registry to copy to.
        place = str(value) if "/" in str(value) else f"hf:{value}"
        return f"destination=open_registry({place!r})"
    if isinstance(value, tuple):
        return f"{name}={{{value[0]!r}: {value[1]!r}}}"
    return f"{name}={value!r}"


def _training(call: TrainingCall) -> str:
    if call.parents:
        parents = ", ".join(f"registry.get({parent!r})" for parent in call.parents)
        weights = f", weights=[{call.weights.replace(',', ', ')}]" if call.weights else ""
        return f"merge([{parents}], registry{weights}, name={call.name!r})"
    ratio = f".with_ratio({call.ratio!r})" if call.ratio else ""
    mixture = f"Mixture.parse({call.mixture!r}){ratio}"
    recipe = "recipe" if call.seed is None else f"recipe with seed={call.seed}"
    named = {"setup": call.setup, "base": call.base, "label": call.label}
    options = "".join(f", {_keyword(name, value)}" for name, value in named.items() if value is not None)
    if call.task is None:
        return f"train_language_adapter({mixture}, {recipe}, registry=registry{options})"
    data = "DATA"
    if call.sentences:
        source = re.split(r"[-+]", call.mixture)[0]
        known = ", ".join(f"{language!r}: DATA" for language in (source, *dict(call.sentences)))
        data = f"{{{known}}}, limit={dict(call.sentences)!r}"
    return f"train_task_adapter({mixture}, {call.task!r}, {recipe}, data={data}, registry=registry{options})"
