"""The old names of the public API still work, and say what to write in their place."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from badx_hub.deprecated import OLD_ATTRIBUTES, OLD_NAMES
from badx_hub.languages import Mixture
from badx_hub.names import AdapterName
from badx_hub.registry import AdapterQuery, LocalRegistry
from badx_hub.setups import SETUPS
from tests.registry.conftest import build

NAMES = [(module, old, new) for module, names in OLD_NAMES.items() for old, new in names.items()]
ATTRIBUTES = [(where, old, new) for where, names in OLD_ATTRIBUTES.items() for old, new in names.items()]


@pytest.mark.parametrize(("module", "old", "new"), NAMES)
def test_an_old_name_of_a_module_is_the_new_one(module: str, old: str, new: str) -> None:
    home = import_module(module)
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} is deprecated, use {new}."):
        assert getattr(home, old) is getattr(home, new)


@pytest.mark.parametrize(("where", "old", "new"), ATTRIBUTES)
def test_an_old_attribute_reads_the_new_one(where: str, old: str, new: str) -> None:
    module, _, name = where.rpartition(".")
    cls = getattr(import_module(module), name)
    # An instance of a class that has nothing but the new attribute.
    instance = type("Only", (), {new: "value", old: cls.__dict__[old]})()
    with pytest.warns(DeprecationWarning, match=f"{name}.{old} is deprecated, use {new}."):
        assert getattr(instance, old) == "value"
    assert new in dir(cls) or new in cls.__annotations__


def test_old_attributes_of_real_objects(tmp_path: Path) -> None:
    mixture = Mixture.parse("en-wo")
    with pytest.warns(DeprecationWarning):
        assert SETUPS["tlr"].carriers(mixture) == SETUPS["tlr"].language_adapters(mixture)
    name = AdapterName.parse("mbert/en-wo/pos")
    with pytest.warns(DeprecationWarning):
        assert name.parent == name.language_adapter == AdapterName.parse("mbert/en-wo")
    with pytest.warns(DeprecationWarning):
        assert AdapterQuery(mixture).how is SETUPS["bad-x"]
    entry = LocalRegistry(tmp_path / "registry").publish(build(tmp_path / "ba", "mbert/en-wo"))
    with pytest.warns(DeprecationWarning):
        assert entry.manifest.carriers == ()


@pytest.mark.parametrize("module", OLD_NAMES)
def test_other_names_are_unknown(module: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'Nothing'"):
        import_module(module).Nothing  # noqa: B018


def test_badx_hub_itself_uses_no_old_name() -> None:
    modules = ("cli", "stack", "evaluation.compare", "studies.runner", "training.task_adapter")
    program = "; ".join(f"import badx_hub.{module}" for module in modules)
    command = [sys.executable, "-W", "error::DeprecationWarning:badx_hub", "-c", program]
    assert subprocess.run(command, capture_output=True, text=True).returncode == 0
