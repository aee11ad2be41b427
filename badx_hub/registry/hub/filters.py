"""What to look for on a Hub: by names exactly, by tags to narrow."""

from __future__ import annotations

from dataclasses import dataclass

from badx_hub.names import AdapterName, base_slug


@dataclass(frozen=True)
class RepoFilter:
    """What to look for; None: any. `base` is a Hub id, a folder or a slug ("mbert")."""

    source: str | None = None
    target: str | None = None
    task: str | None = None
    base: str | None = None

    def tags(self) -> tuple[str, ...]:
        """The tags of cards that narrow a search over the whole Hub."""
        given = {"source": self.source, "target": self.target, "task": self.task}
        return tuple(f"badx-{field}:{value}" for field, value in given.items() if value is not None)

    def fits(self, name: AdapterName) -> bool:
        """Whether the adapter of that name is meant."""
        mixture = name.mixture
        return (
            self.source in (None, mixture.source)
            and (self.target is None or self.target in mixture.targets)
            and self.task in (None, name.task)
            and (self.base is None or name.base == base_slug(self.base))
        )


def is_beside(one: AdapterName, other: AdapterName) -> bool:
    """Whether they differ in ratio or label alone."""
    return (one.base, one.task, one.setup) == (other.base, other.task, other.setup) and (
        one.mixture.languages == other.mixture.languages
    )
