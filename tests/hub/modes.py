"""The behaviours of strangers' servers by name, for tests that run under each of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.hub.behaviour import Behaviour
from tests.hub.faults import CutHeaders, Fault, Freeze


@dataclass(frozen=True)
class Mode:
    """A setting of all switches, and the faults that go with it."""

    name: str
    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        return self.name


# Names that are no adapter's, each one item of a listing. Both orders of what may come first are there.
STRANGE_NAMES = (
    {"id": "acme/tiny.en-wo.pos\u202e", "tags": ["badx"]},
    {"id": "../../etc/tiny.en-wo", "tags": ["badx"]},
    {"id": "acme/" + "x" * 5000, "tags": ["badx"]},
    {"id": "tiny.en-wo", "tags": ["badx"]},
    {"id": "", "tags": ["badx"]},
)
NAMELESS = ({"modelId": "acme/tiny.en-fo", "tags": ["badx"]}, {"id": None, "tags": ["badx"]}, {"id": 7}, {"id": ["a"]})
STRANGE_TAGS = (
    {"id": "acme/tiny.en-fo", "tags": 5},
    {"id": "acme/tiny.en-fo.pos", "tags": [None, 7, {"badx": "badx"}]},
    {"id": "acme/tiny.en-yo", "tags": "badx"},
)

FROZEN = Mode("frozen", faults=(Fault("*", Freeze(30.0), times=None),))
# Each of these an answer that a second try mends.
CUT_HEADERS = Mode(
    "cut-headers",
    faults=tuple(Fault(f"*/{name}", CutHeaders(), method="GET") for name in ("badx.json", "adapter.safetensors")),
)

MODES = (
    Mode("as-the-hub"),
    Mode("long-ids", Behaviour(commit_digits=64)),
    Mode("newest-listed", Behaviour(lists_newest=True)),
    Mode("no-change-head", Behaviour(no_change="head", preupload="ignore")),
    Mode("no-change-words", Behaviour(no_change="words", preupload="nothing")),
    Mode("no-change-empty", Behaviour(no_change="empty", preupload="nothing")),
    Mode("skipped-files", Behaviour(skipped=("adapter_config.json",))),
    Mode("skips-known", Behaviour(skips_known=True, preupload="nothing", no_change="head")),
    Mode("no-commit-id", Behaviour(tells_commit=False)),
    Mode("kohaku", Behaviour(
        commit_digits=64, lists_newest=True, preupload="ignore", no_change="head", tags_in_info=False,
        accept_stale_parent=True, expand="ignored", hides="bare 404",
    )),
    CUT_HEADERS,
    Mode("error-gzip", Behaviour(error_body="gzip")),
    Mode("error-broken-gzip", Behaviour(error_body="broken gzip")),
    Mode("error-huge", Behaviour(error_body="huge")),
    Mode("pages-endless", Behaviour(pages="endless")),
    Mode("pages-elsewhere", Behaviour(pages="elsewhere", page_size=1)),
    Mode("pages-refused", Behaviour(pages="refused", page_size=1)),
    Mode("strange-names", Behaviour(strange_items=STRANGE_NAMES)),
    Mode("nameless", Behaviour(strange_items=NAMELESS)),
    Mode("strange-tags", Behaviour(strange_items=STRANGE_TAGS)),
    Mode("crowd", Behaviour(crowd=20_001)),
    Mode("bare-401", Behaviour(hides="bare 401")),
    Mode("bare-404", Behaviour(hides="bare 404")),
    Mode("lfs-everything", Behaviour(lfs_everything=True)),
    Mode("private-unsaid", Behaviour(says_private=False)),
    Mode("expand-ignored", Behaviour(expand="ignored")),
    Mode("expand-refused", Behaviour(expand="refused")),
    FROZEN,
)  # fmt: skip
BY_NAME = {mode.name: mode for mode in MODES}
