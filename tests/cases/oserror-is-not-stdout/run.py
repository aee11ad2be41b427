import sys

sys.argv = ["badx-hub", "list"]
import badx_hub.registry.local as local


def full(self):
    raise OSError(24, "Too many open files")


local.LocalRegistry.contents = full
from badx_hub.cli import main

main()
