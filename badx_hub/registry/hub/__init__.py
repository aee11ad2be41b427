"""A Hub as a registry: `HubRegistry` reads and publishes; below it are reading, publishing, files, cache and cards."""

from badx_hub.registry.hub.publish import PushOptions as PushOptions
from badx_hub.registry.hub.publish import PushPlan as PushPlan
from badx_hub.registry.hub.reader import RepoFilter as RepoFilter
from badx_hub.registry.hub.registry import HubRegistry as HubRegistry
