"""Stacks that share a base in memory: each predicts what it does alone, also after a load that failed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from badx_hub.adapter_files import ADAPTER_WEIGHTS_FILE, HEAD_WEIGHTS_FILE
from badx_hub.errors import IntegrityError
from badx_hub.registry import Entry, LocalRegistry
from badx_hub.stack import StackLoader, StackParts
from badx_hub.tensor_files import check_finite
from tests.made import made

SENTENCES = [("Xanaa", "leeral", "ne", "lëlu", "bi", "."), ("Nanga", "def", "?")]


@dataclass(frozen=True)
class Stacks:
    """LAs of English, Wolof and Faroese with one task adapter, a pair with its own, and a whole fine-tuned base."""

    registry: LocalRegistry
    base: Path
    entries: dict[str, Entry]

    def parts(self, *names: str, setup: str | None = None) -> StackParts:
        return StackParts(tuple(self.entries[name] for name in names), self.registry, setup)

    def loader(self) -> StackLoader:
        return StackLoader(base=str(self.base))

    def alone(self, parts: StackParts) -> tuple[object, ...]:
        [stack] = self.loader().load([parts])
        return stack.predict(SENTENCES)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Stacks:
    registry = LocalRegistry(tmp_path_factory.mktemp("stacks") / "registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BADX_HUB_HOME", str(tmp_path_factory.mktemp("stacks-home")))
        entries = {
            name: made(registry, tiny_base, f"tiny/{name}", seed=seed)
            for seed, name in enumerate(("en", "wo", "fo", "en-wo", "en/pos@full"), start=1)
        }
        entries["en/pos"] = made(registry, tiny_base, "tiny/en/pos", seed=8, on=entries["en"])
        entries["en-wo/pos"] = made(registry, tiny_base, "tiny/en-wo/pos", seed=9, on=entries["en-wo"])
    return Stacks(registry, tiny_base, entries)


def test_stacks_with_one_task_adapter_on_several_language_adapters(stacks: Stacks) -> None:
    parts = [stacks.parts(language, "en/pos", setup="mad-x") for language in ("wo", "fo", "en")]
    expected = [stacks.alone(part) for part in parts]
    together = stacks.loader().load(parts)
    assert len({id(stack.model) for stack in together}) == 1
    for places in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        assert [together[place].predict(SENTENCES) for place in places] == [expected[place] for place in places]
    assert len(set(expected)) == 3


@pytest.mark.parametrize(
    ("names", "damaged"),
    [
        (("en-wo", "en-wo/pos"), f"tiny.en-wo/*/{ADAPTER_WEIGHTS_FILE}"),
        (("en-wo", "en-wo/pos"), f"tiny.en-wo.pos/*/{HEAD_WEIGHTS_FILE}"),
        (("en/pos@full",), f"tiny.en.pos-full/*/{HEAD_WEIGHTS_FILE}"),
    ],
)
def test_a_load_that_fails_leaves_nothing(
    stacks: Stacks, names: tuple[str, ...], damaged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_finite(path: Path, *, digest: str) -> None:
        if path.match(damaged):
            raise IntegrityError(f"{path.name} holds numbers that are infinite.")
        check_finite(path, digest=digest)

    before, failing = stacks.parts("en", "en/pos"), stacks.parts(*names)
    expected, wanted, loader = stacks.alone(before), stacks.alone(failing), stacks.loader()
    with monkeypatch.context() as patch:
        patch.setattr("badx_hub.modeling.model_adapters.check_finite", not_finite)
        for _ in range(2):
            with pytest.raises(IntegrityError, match="infinite"):
                loader.load([failing])
        [first] = loader.load([before])
        with pytest.raises(IntegrityError, match="infinite"):
            loader.load([failing])
        assert not any(parameter.is_meta for parameter in first.model.parameters())
        assert list(first.model.heads) == [first.name.module_name]
    [second] = loader.load([failing])
    assert (first.predict(SENTENCES), second.predict(SENTENCES)) == (expected, wanted)
