"""Where adapters are kept and found: the Registry protocol, the local folder, resolution, push and pull."""

from typing import TYPE_CHECKING

from badx_hub.deprecated import module_getattr
from badx_hub.registry.chain import open_registry as open_registry
from badx_hub.registry.local import LocalRegistry as LocalRegistry
from badx_hub.registry.protocol import Entry as Entry
from badx_hub.registry.protocol import FileCheck as FileCheck
from badx_hub.registry.protocol import Problem as Problem
from badx_hub.registry.protocol import Registry as Registry
from badx_hub.registry.protocol import VerificationReport as VerificationReport
from badx_hub.registry.query import AdapterQuery as AdapterQuery
from badx_hub.registry.resolve import RegistrySnapshot as RegistrySnapshot
from badx_hub.registry.resolve import Resolution as Resolution
from badx_hub.registry.resolve import resolve as resolve
from badx_hub.registry.resolve import resolve_in_order as resolve_in_order
from badx_hub.registry.transfer import Transferred as Transferred
from badx_hub.registry.transfer import copy as copy

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)
