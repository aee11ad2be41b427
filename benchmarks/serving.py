"""Stacks behind Ray Serve: requests a second and waiting times with 1, 2 and 4 replicas, and what a killed one costs.

    python benchmarks/serving.py [--seconds 20] [--clients 16] [--replicas 1 2 4]

Two random task adapters (POS and DP) on one random BA on the embedded base; each request is one Wolof sentence of the
embedded treebank to one of the two. Every client is a thread that sends its next request when it has the last answer.
In the last part one of two replicas is killed (SIGKILL) under that load; each request that is not answered is counted.
Writes serving.json beside this file.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil
import yaml
from measuring import machine, say
from sized import place, publish_ba, publish_ta

from badx_hub.modeling.embedded_base import embedded_base
from badx_hub.registry import open_registry

RESULT = Path(__file__).with_suffix(".json")
PORT = 18642
ADDRESS = f"http://127.0.0.1:{PORT}"
STACKS = ("en-wo/pos", "en-wo/dp")
"""What clients ask, in turn."""
WAIT_SECONDS = 300.0


@dataclass
class Load:
    """What clients saw: the seconds of each answered request, and how the others ended."""

    seconds: list[float] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    took: float = 0.0

    def row(self) -> dict[str, Any]:
        """Its figures."""
        cuts = quantiles(self.seconds, n=100, method="inclusive")
        return {
            "requests": len(self.seconds),
            "requests/s": round(len(self.seconds) / self.took, 1),
            "p50 ms": round(1e3 * cuts[49]),
            "p99 ms": round(1e3 * cuts[98]),
            "longest ms": round(1e3 * max(self.seconds)),
            "lost": dict(self.lost),
        }


def sentences() -> list[str]:
    """Wolof sentences as text."""
    path = files("badx_hub.demo") / "data" / "ud" / "UD_Wolof-WTB" / "wo_wtb-ud-test.conllu.gz"
    with path.open("rb") as raw, gzip.open(raw, "rt", encoding="utf-8") as file:
        return [line.removeprefix("# text = ").strip() for line in file if line.startswith("# text = ")]


def asked(path: str, body: Any = None) -> Any:
    """The JSON that the server answers. Raises OSError (HTTPError too)."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(ADDRESS + path, data), timeout=WAIT_SECONDS) as answer:
        return json.load(answer)


def loaded(texts: Sequence[str], clients: int, seconds: float) -> Load:
    """Put the server under load for so long."""
    load, lock, ends = Load(), threading.Lock(), time.perf_counter() + seconds

    def client(number: int) -> None:
        while (began := time.perf_counter()) < ends:
            body = {"stack": STACKS[number % len(STACKS)], "inputs": [texts[number % len(texts)]]}
            number += clients + 1
            try:
                asked("/predict", body)
            except OSError as error:
                what = str(error.code) if isinstance(error, urllib.error.HTTPError) else type(error).__name__
                with lock:
                    load.lost[what] += 1
            else:
                with lock:
                    load.seconds.append(time.perf_counter() - began)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.took = time.perf_counter() - began
    return load


@contextmanager
def served(folder: Path, registry: str, base: Path, replicas: int, clients: int) -> Iterator[str]:
    """`serve run` on a file of so many replicas, once all of them answer; yields the name of the application."""
    name = f"bench-{os.getpid()}-{replicas}"
    stack = {"pair": "en-wo", "registry": registry, "base": str(base)}
    application = {
        "name": name,
        "route_prefix": "/",
        "import_path": "badx_hub.serving.deployment:application",
        "args": {"offline": True, "stacks": [{**stack, "task": task} for task in ("pos", "dp")]},
        "deployments": [
            {"name": "Gate", "ray_actor_options": {"num_cpus": 0}},
            # Any number of them on this machine; Ray gives each one thread.
            {"name": "Stacks", "num_replicas": replicas, "ray_actor_options": {"num_cpus": 0.1}},
        ],
    }
    file = folder / f"stacks-{replicas}.yaml"
    file.write_text(yaml.safe_dump({"http_options": {"port": PORT}, "applications": [application]}), encoding="utf-8")
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_memory_monitor_refresh_ms": "0", "RAY_worker_niceness": "0"}
    command = [str(Path(sys.executable).with_name("serve")), "run", "--address", "local", str(file)]
    with (folder / f"log-{replicas}").open("w") as log:
        server = subprocess.Popen(command, env={**os.environ, **quiet}, stdout=log, stderr=log)
    try:
        _wait(server, name, replicas, folder / f"log-{replicas}")
        loaded(sentences(), clients, 3.0)  # The first batches are slow.
        yield name
    finally:
        server.terminate()
        server.wait()


def _wait(server: subprocess.Popen[bytes], name: str, replicas: int, log: Path) -> None:
    ends = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            asked("/predict", {"stack": STACKS[0], "inputs": ["Dem na."]})
            if len(processes(name)) == replicas:
                return
        except OSError:
            pass
        if server.poll() is not None or time.monotonic() > ends:
            raise RuntimeError(log.read_text()[-4000:])
        time.sleep(1.0)


def processes(name: str) -> list[psutil.Process]:
    """The replicas of the stacks: Ray gives their processes the name of their deployment."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        title = (process.info["cmdline"] or [""])[0]
        if title.startswith(f"ray::ServeReplica:{name}:Stacks"):
            found.append(process)
    return found


def killed(name: str, texts: Sequence[str], clients: int, seconds: float) -> dict[str, Any]:
    """The load during which a replica is killed after a quarter of the time."""
    victim = processes(name)[0]
    timer = threading.Timer(seconds / 4, victim.kill)
    timer.start()
    return loaded(texts, clients, seconds).row()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    texts, rows = sentences(), []
    document: dict[str, Any] = {"machine": machine(), "clients": options.clients, "rows": rows}
    with place() as folder:
        base = Path(shutil.copytree(embedded_base(), folder / "small"))
        registry = open_registry(str(folder / "registry"))
        adapter = publish_ba(registry, base)
        for seed, task in enumerate(("pos", "dp"), start=2):
            publish_ta(registry, base, adapter, task, seed=seed)
        for replicas in options.replicas:
            with served(folder, str(folder / "registry"), base, replicas, options.clients) as name:
                rows.append({"replicas": replicas, **loaded(texts, options.clients, options.seconds).row()})
                say(json.dumps(rows[-1]))
                if replicas == 2:
                    row = killed(name, texts, options.clients, 3 * options.seconds)
                    document["killed"] = {"replicas": replicas, **row}
                    say(json.dumps(document["killed"]))
    RESULT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
