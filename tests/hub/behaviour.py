"""What servers that speak the Hub's protocol differ in: one typed switch for each difference.

The defaults are what huggingface.co does. Every other value was seen in a server that others have written, or is one
that the protocol allows and a client has to survive. `modes.py` has the settings that tests run under by name.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal

# A listing that never ends does end after so many empty pages: a client without a bound then fails a test quickly.
ENDLESS_PAGES = 12


@dataclass
class Behaviour:
    """The switches; a test may turn them while the server runs."""

    # A commit on a parent that is no longer the head is made all the same (the Hub: 412).
    accept_stale_parent: bool = False
    # Whether the information on one repository has its tags; listings always have them.
    tags_in_info: bool = True
    # The most entries on a page of any listing.
    page_size: int = 1000
    # The hexadecimal digits of commit ids, wherever one is told: SHA-1 as git, or SHA-256 as LakeFS (KohakuHub).
    commit_digits: Literal[40, 64] = 40
    # Tree, paths-info and siblings give size and digests of a path's newest version, at whatever commit.
    # KohakuHub keeps one row a path. Contents, their ETag and the set of paths stay those of the commit.
    lists_newest: bool = False
    # What `preupload` says of a file that is there already: its object id, by which the client leaves it out; of small
    # texts shouldIgnore, by which it still sends a commit, perhaps an empty one (KohakuHub); or nothing.
    preupload: Literal["oid", "ignore", "nothing"] = "oid"
    # What follows on a commit that changes nothing: a commit, or none. Then the answer's id is that of the head, the
    # words "no-changes" (both KohakuHub) or empty.
    no_change: Literal["commit", "head", "words", "empty"] = "commit"
    # Shell patterns of paths that a commit leaves as they are, and says nothing of it.
    skipped: tuple[str, ...] = ()
    # A commit quietly leaves out what is its path's newest version already, on whatever branch (KohakuHub).
    skips_known: bool = False
    # Whether the answer to a commit has its id; where not, the id is "" and the address ends with a slash.
    tells_commit: bool = True
    # Listings: as they are; empty pages without end behind the last; the next page on another host; 429 from the
    # second page on.
    pages: Literal["true", "endless", "elsewhere", "refused"] = "true"
    # Items that begin every listing of models, exactly as they stand here.
    strange_items: tuple[Any, ...] = ()
    # As many repositories of strangers as this begin every listing of all owners' models, whatever tags are asked for;
    # they can only be listed.
    crowd: int = 0
    # How a repository that is private or absent is refused: 401 to the anonymous and 404 to others with the code that
    # the client understands, or without any code: 401 to all but members of the namespace, or 404 to everybody.
    hides: Literal["as the Hub", "bare 401", "bare 404"] = "as the Hub"
    # Every file is an LFS file, texts too.
    lfs_everything: bool = False
    # Whether anything says if a repository is private.
    says_private: bool = True
    # What becomes of `expand`, by which a client asks for single fields: a server that ignores it answers in its usual
    # way, in which a listing has no `sha`.
    expand: Literal["honoured", "ignored", "refused"] = "honoured"
    # The body of every refusal: a line of JSON; the same compressed; compressed, and cut; or with 2 MB of text.
    error_body: Literal["json", "gzip", "broken gzip", "huge"] = "json"
    # The server is killed inside its next commit: the commit is written, and no branch names it.
    dies_in_commit: bool = False

    def become(self, other: Behaviour) -> None:
        """Turn every switch as it is in `other`."""
        for one in fields(other):
            setattr(self, one.name, getattr(other, one.name))


@lru_cache(maxsize=1)
def strangers(count: int) -> tuple[dict[str, Any], ...]:
    """`count` items of a listing, of repositories that are nobody's adapters though they have the tag."""
    names = (f"crowd/model-{number:06}" for number in range(count))
    return tuple({"id": name, "modelId": name, "private": False, "tags": ["badx"]} for name in names)
