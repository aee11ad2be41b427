"""Several processes on this machine for one command: torchrun's own launcher, with the ending of a single process."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import uuid

from badx_hub.storage import scratch_folder

_LIBRARY = "torch.distributed"


def run_in(count: int) -> int:
    """Run the command as it was typed in `count` processes; their exit code."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in [name for name in logging.root.manager.loggerDict if name.startswith(_LIBRARY)]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # The processes speak for themselves.
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        with scratch_folder() as folder:
            tempfile.tempdir = str(folder)  # torchrun leaves its folder of logs there.
            elastic_launch(config, sys.executable)("-m", "badx_hub", *sys.argv[1:])
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        code: int = failure.exitcode
        return code if code >= 0 else 128 - code
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0
