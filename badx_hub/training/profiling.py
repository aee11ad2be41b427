"""Where the time of a few training steps goes: a table to read, and a trace for chrome://tracing.

What runs is watched from outside: weights, losses and random numbers are those of a training without a profile.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.autograd.profiler_util import FunctionEventAvg
from torch.profiler import ProfilerActivity, profile, record_function

from badx_hub.storage import atomic_write_bytes, atomic_write_text, scratch_folder, storage_errors

WARM_UP, STEPS = 3, 5
"""Steps that run before the watched ones (caches fill, memory is asked for), and the watched ones."""

TABLE, TRACE = "profile.txt", "trace.json.gz"

STEP, WAIT, COPY = "badx: step", "badx: wait for the batch", "badx: copy to the device"
FORWARD, BACKWARD, UPDATE = "badx: forward", "badx: backward", "badx: update"
PHASES = (WAIT, COPY, FORWARD, BACKWARD, UPDATE)

_KINDS: Mapping[str, str] = {
    "matrix products": r"^aten::_?(mm|bmm|mv|addmm|addmv|baddbmm|addbmm|matmul|linear)|mkldnn_linear",
    "attention in one piece": r"scaled_dot_product|flash_attention|efficient_attention",
    "softmax and loss": r"softmax|nll_loss|cross_entropy|logsumexp",
    "dropout": r"(?i)dropout|bernoulli|^aten::(random|uniform|rand)",
    "layer norm": r"layer_norm",
    "activations": r"gelu|relu|tanh|sigmoid|silu|threshold",
    "optimizer and clipping": r"adam|_foreach|vector_norm|^Optimizer",
    "embeddings and gathering": r"^aten::.*(embedding|index|gather|scatter)",
    "copies and fills": r"^aten::_?(to_)?(copy|clone|contiguous|cat|stack|fill|zero|ones|full|empty|resize)",
    "sums and products by element": r"^aten::(add|sub|rsub|mul|div|neg|sum|mean|amax|maximum|exp|log|sqrt|pow|ge|lt|"
    "where|masked_fill)",
    "waiting for the batch": rf"^{WAIT}$",
    "copying to the device": rf"^{COPY}$",
    "Python, autograd and views": r"^badx: |^autograd::|^torch::|Backward\d*$|^_[A-Z]\w+$|"
    r"^(aten::)?(view|t|transpose|permute|as_strided|expand|detach|reshape|unsqueeze|select|slice|item|to)_?$",
}
_REST = "everything else"
_LONGEST = 25
_WIDTH, _BAR = 100, 36


@dataclass(frozen=True)
class Operation:
    """All calls of one operation: seconds in it alone, and seconds with what it calls."""

    name: str
    calls: int
    alone: float
    whole: float


@dataclass(frozen=True)
class Watched:
    """What was seen in `steps` steps, of `seconds` in all; `where` says on what they ran.

    The operations' seconds are the processor's, or those of the GPU where there is one.
    """

    title: str
    where: str
    steps: int
    seconds: float
    operations: tuple[Operation, ...]


def phase(name: str) -> AbstractContextManager[object]:
    """Marks a phase of a step; costs next to nothing when nobody watches."""
    return record_function(name)


def kind_of(operation: str) -> str:
    """The line of the table that an operation counts towards."""
    return next((kind for kind, pattern in _KINDS.items() if re.search(pattern, operation)), _REST)


def kinds(operations: Iterable[Operation]) -> dict[str, float]:
    """Seconds of each kind of operation, most first; together they are all the operations' own seconds."""
    found = defaultdict[str, float](float)
    for operation in operations:
        found[kind_of(operation.name)] += operation.alone
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def table(watched: Watched) -> str:
    """The page of a profile, at most 100 columns wide: phases, kinds, and the longest operations."""
    named = {operation.name: operation for operation in watched.operations}
    phases = {name.removeprefix("badx: "): named[name].whole for name in PHASES if name in named}
    longest = sorted(watched.operations, key=lambda operation: -operation.alone)[:_LONGEST]
    lines = [
        watched.title,
        f"{watched.steps} steps of {1e3 * watched.seconds / watched.steps:,.1f} ms on {watched.where}",
        "",
        *_block("Phases of a step", phases, watched),
        *_block("Where the time goes", kinds(watched.operations), watched),
        f"{'The longest operations, without what they call':52}{'share':>8}{'ms a step':>12}{'calls a step':>14}",
        *(_line(one.name, one.alone, watched) + f"{one.calls / watched.steps:>14,.1f}" for one in longest),
    ]
    return "\n".join(line[:_WIDTH].rstrip() for line in lines) + "\n"


class Profiling:
    """Watches STEPS steps after WARM_UP others and writes TABLE and TRACE to `folder`; training goes on after that.

    The watched steps end at an evaluation at the latest. Where fewer steps are left than both together, there is
    less warm-up. Files of an earlier profile are replaced.

    Args:
        folder: made if it is not there.
        title: the first line of the table.

    Raises:
        StorageError: the folder cannot be made, or later the files cannot be written.
    """

    def __init__(self, folder: str | Path, title: str) -> None:
        self.folder, self.title = Path(folder), title
        self.written = False
        self._waiting, self._steps = 0, 0
        self._profile: profile | None = None
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Profiling:
        return self

    def __exit__(self, *_: object) -> None:
        if self._profile is not None:
            self._profile.stop()
            self._profile = None

    @property
    def files(self) -> tuple[Path, Path]:
        """The table and the trace."""
        return self.folder / TABLE, self.folder / TRACE

    def begin(self, left: int) -> None:
        """Say how many steps are left to train."""
        self._waiting = min(WARM_UP, max(0, left - STEPS))

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around each step, without the evaluation behind it."""
        if not self.written and not self._waiting and self._profile is None:
            on_gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
            self._profile = profile(activities=[ProfilerActivity.CPU, *on_gpu])
            self._profile.start()
        self._waiting = max(0, self._waiting - 1)
        with record_function(STEP):
            yield
        self._steps += self._profile is not None
        if self._steps == STEPS:
            self.finish()

    def finish(self) -> None:
        """Write what was watched, if anything was and has not been written yet."""
        if self._profile is None:
            return
        done, self._profile = self._profile, None
        done.stop()
        page, trace = self.files
        atomic_write_text(page, table(self._watched(done)))
        atomic_write_bytes(trace, _trace(done))
        self.written = True

    def _watched(self, done: profile) -> Watched:
        operations = _operations(done)
        seconds = next(event.cpu_time_total for event in done.key_averages() if event.key == STEP) / 1e6
        return Watched(self.title, _where(), self._steps, seconds, operations)


class Unwatched:
    """No profile."""

    def __enter__(self) -> Unwatched:
        return self

    def __exit__(self, *_: object) -> None: ...

    def begin(self, left: int) -> None: ...

    @contextmanager
    def step(self) -> Iterator[None]:
        yield

    def finish(self) -> None: ...


def _block(title: str, seconds: Mapping[str, float], watched: Watched) -> list[str]:
    """Lines with a share, milliseconds a step and a bar each, and an empty one."""
    heading = f"{title:52}{'share':>8}{'ms a step':>12}"
    lines = [
        f"{_line(name, spent, watched)}  {'#' * round(_BAR * spent / watched.seconds)}"
        for name, spent in seconds.items()
        if spent
    ]
    return [heading, *lines, ""]


def _line(name: str, seconds: float, watched: Watched) -> str:
    share = 100 * seconds / watched.seconds
    return f"  {name[:49]:50}{share:>6.1f} %{1e3 * seconds / watched.steps:>12,.2f}"


def _where() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return f"the processor, threads: {torch.get_num_threads()}, torch {torch.__version__}"


def _alone(event: FunctionEventAvg) -> float:
    microseconds = event.self_device_time_total if torch.cuda.is_available() else event.self_cpu_time_total
    return float(microseconds) / 1e6


def _operations(done: profile) -> tuple[Operation, ...]:
    """What the program's thread did; seconds of the GPU count towards the operation that gave it the work."""
    return tuple(
        Operation(event.key, event.count, _alone(event), event.cpu_time_total / 1e6)
        for event in done.key_averages()
        if event.device_type.name == "CPU"
    )


def _trace(done: profile) -> bytes:
    with scratch_folder() as folder:
        path = folder / TRACE
        done.export_chrome_trace(str(path))
        return path.read_bytes()
