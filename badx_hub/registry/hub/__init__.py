"""A Hub as a registry: `HubRegistry` reads and publishes; below it are reading, publishing, files, cache and cards."""

from badx_hub.registry.hub.push_plans import PushOptions, PushPlan
from badx_hub.registry.hub.reader import RepoFilter
from badx_hub.registry.hub.registry import HubRegistry

__all__ = ["HubRegistry", "PushOptions", "PushPlan", "RepoFilter"]
