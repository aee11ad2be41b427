"""What the loader takes from where: places in order, locks, and the fallback, with adapters that visibly differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from badx_hub import load_bilingual_stack
from badx_hub.errors import IntegrityError, NotFoundError, UsageError
from badx_hub.languages import pair
from badx_hub.registry import AdapterQuery, Entry, LocalRegistry
from badx_hub.registry.lock import lock_stack, resolved, write_lock
from badx_hub.stack import BilingualStack, load_entries
from tests.made import made
from tests.refusals import refused

WORDS = ("Xanaa", "leeral", "ne", "lëlu", "waxtaanu", "Sutsas", "bi", ".")
SENTENCES = [WORDS, WORDS[::-1], WORDS[2:6], ("Nanga", "def", "?")]


@dataclass(frozen=True)
class Adapters:
    """LAs of English, Wolof and Faroese, and a task adapter on the English one."""

    registry: LocalRegistry
    base: Path
    en: Entry
    wo: Entry
    fo: Entry
    task: Entry


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Adapters:
    registry = LocalRegistry(tmp_path_factory.mktemp("las") / "registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BADX_HUB_HOME", str(tmp_path_factory.mktemp("las-home")))
        en, wo, fo = (
            made(registry, tiny_base, f"tiny/{language}", seed=seed)
            for seed, language in enumerate(("en", "wo", "fo"), start=1)
        )
        task = made(registry, tiny_base, "tiny/en/pos", seed=9, on=en)
    return Adapters(registry, tiny_base, en, wo, fo, task)


def load(adapters: Adapters, target: str, **options: object) -> BilingualStack:
    settings = {"base": str(adapters.base), "registry": adapters.registry, **options}
    return load_bilingual_stack("en", target, "pos", **settings)  # type: ignore[arg-type]


def test_the_fallback_puts_the_task_adapter_on_the_la_of_the_target(adapters: Adapters) -> None:
    wolof = load(adapters, "wo", fallback="mad-x")
    assert wolof.setup == "mad-x"
    assert [str(entry.name) for entry in wolof.entries] == ["tiny/wo", "tiny/en/pos"]
    faroese = load(adapters, "fo", fallback="mad-x")
    english = load_entries((adapters.en, adapters.task), adapters.registry, base=str(adapters.base))
    assert english.setup == "bad-x"
    found = [stack.predict(SENTENCES) for stack in (wolof, faroese, english)]
    assert len(set(found)) == 3


def test_the_fallback_computes_what_a_stack_made_by_hand_does(adapters: Adapters) -> None:
    import torch
    from adapters import AutoAdapterModel
    from adapters.composition import Stack

    ids = torch.arange(5, 25).unsqueeze(0)
    model = AutoAdapterModel.from_pretrained(str(adapters.base))
    below, above = (
        model.load_adapter(str(adapters.registry.fetch(entry)), use_safetensors=True)
        for entry in (adapters.wo, adapters.task)
    )
    model.active_adapters = Stack(below, above)
    with torch.no_grad():
        expected = model.eval()(ids).logits
        assert torch.equal(load(adapters, "wo", fallback="mad-x").model(ids).logits, expected)


def test_the_fallback_is_never_taken_unasked(adapters: Adapters) -> None:
    with refused(NotFoundError, "badx-hub train en-wo"):
        load(adapters, "wo")
    with pytest.raises(UsageError, match="mad-x"):
        load(adapters, "wo", fallback="mad")


def test_the_fallback_says_what_it_lacks(adapters: Adapters) -> None:
    with refused(NotFoundError, r"fallback mad-x lacks.*badx-hub train en-ug.*`badx-hub train ug --base tiny`"):
        load(adapters, "ug", fallback="mad-x")


def test_the_pair_itself_comes_before_the_fallback(adapters: Adapters, tmp_path: Path) -> None:
    own = LocalRegistry(tmp_path / "own")
    ba = made(own, adapters.base, "tiny/en-wo", seed=5)
    made(own, adapters.base, "tiny/en-wo/pos", seed=6, on=ba)
    stack = load(adapters, "wo", registry=[adapters.registry, own], fallback="mad-x")
    assert (stack.setup, str(stack.name)) == ("bad-x", "tiny/en-wo/pos")


@pytest.mark.parametrize("setup", [None, "bad-x"])
def test_only_the_fallback_loads_another_carrier(adapters: Adapters, setup: str | None) -> None:
    with pytest.raises(IntegrityError, match="was trained on"):
        load_entries((adapters.wo, adapters.task), adapters.registry, base=str(adapters.base), setup=setup)


def test_the_fallback_swaps_nothing_but_language_adapters(adapters: Adapters, tmp_path: Path) -> None:
    own = LocalRegistry(tmp_path / "own")
    ba = made(own, adapters.base, "tiny/en-fo", seed=5)
    on_ba = made(own, adapters.base, "tiny/en-fo/pos", seed=6, on=ba)
    for entries in ((adapters.wo, on_ba), (ba, adapters.task), (adapters.task,)):
        with pytest.raises(IntegrityError, match="mad-x"):
            load_entries(entries, adapters.registry, base=str(adapters.base), setup="mad-x")
    newer = made(own, adapters.base, "tiny/en", seed=7)
    with pytest.raises(IntegrityError, match="was trained on tiny/en "):
        load_entries((newer, adapters.task), own, base=str(adapters.base), setup="mad-x")
    base = adapters.wo.manifest.base.model_copy(update={"digest": "f" * 64})
    foreign = replace(adapters.wo, manifest=adapters.wo.manifest.model_copy(update={"base": base}))
    with pytest.raises(IntegrityError, match="different bases"):
        load_entries((foreign, adapters.task), adapters.registry, base=str(adapters.base), setup="mad-x")


def test_a_ta_and_its_ba_may_lie_in_different_registries(adapters: Adapters, tmp_path: Path) -> None:
    first, second = LocalRegistry(tmp_path / "first"), LocalRegistry(tmp_path / "second")
    ba = made(first, adapters.base, "tiny/en-wo", seed=5)
    made(second, adapters.base, "tiny/en-wo/pos", seed=6, on=ba)
    for order in ([first, second], [second, first], [str(second.root), first.root]):
        stack = load(adapters, "wo", registry=order)
        assert [entry.location for entry in stack.entries] == [ba.location, second.list()[0].location]
    with pytest.raises(NotFoundError, match="which is not here"):
        load(adapters, "wo", registry=second)


def test_a_lock_loads_the_old_version_and_nothing_else(adapters: Adapters, tmp_path: Path) -> None:
    own, lock = LocalRegistry(tmp_path / "own"), tmp_path / "badx.lock"
    ba = made(own, adapters.base, "tiny/en-wo", seed=5)
    old = made(own, adapters.base, "tiny/en-wo/pos", seed=6, on=ba)
    query = AdapterQuery(pair("en", "wo"), "pos")
    chain, resolution = resolved(query, own)
    write_lock(lock, lock_stack(query, resolution, chain))
    before = load(adapters, "wo", registry=own, lock=lock).predict(SENTENCES)
    newer = made(own, adapters.base, "tiny/en-wo/pos", seed=7, on=ba, day=2)
    assert load(adapters, "wo", registry=own).entries[-1] == newer
    locked = load(adapters, "wo", registry=own, lock=lock)
    assert locked.entries[-1] == old
    assert locked.predict(SENTENCES) == before
    own.remove(old)
    with pytest.raises(NotFoundError, match=r"badx.lock locks tiny/en-wo/pos .*which was not found"):
        load(adapters, "wo", registry=own, lock=lock)
    with pytest.raises(NotFoundError, match="no pos stack for en-fo"):
        load(adapters, "fo", registry=own, lock=lock)
