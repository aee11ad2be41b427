from __future__ import annotations

import random
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from badx_hub.adapter_files import weights_digest
from badx_hub.cli._errors import message, training
from badx_hub.errors import DataError, IntegrityError, NotFoundError, UsageError
from badx_hub.languages import Mixture
from badx_hub.manifest import BaseRef, LanguageAdapterRef, Manifest, Training
from badx_hub.names import AdapterName
from badx_hub.registry import AdapterQuery, Entry, Problem, RegistrySnapshot, resolve, resolve_in_order
from badx_hub.registry.suggest import nearest, training_call, training_calls
from tests.refusals import refused


def training_command(query: AdapterQuery) -> str:
    return training(training_call(query))


def training_commands(there: tuple[Entry, ...], query: AdapterQuery) -> tuple[str, ...]:
    return tuple(map(training, training_calls(there, query)))


BASES = {"mbert": "bert-base-multilingual-cased", "xlmr-base": "xlm-roberta-base", "another": "my/mbert"}


def hexed(text: str) -> str:
    return text.encode().hex().ljust(64, "0")[:64]


def entry(
    name: str,
    *,
    on: Entry | None = None,
    turns: tuple[Entry, ...] = (),
    day: int = 1,
    base: str | None = None,
    weights: str = "",
) -> Entry:
    """An entry as a registry would list it, with no files behind it."""
    parsed = AdapterName.parse(name)
    files = {"adapter_config.json": hexed(name), "adapter.safetensors": hexed(name + weights)[::-1]}
    if parsed.kind == "task":
        files |= {"head_config.json": hexed("h"), "model_head.safetensors": hexed("w")}
    slug = base or parsed.base
    manifest = Manifest(
        name=name,
        kind=parsed.kind,
        mixture=parsed.mixture.parts,
        task=parsed.task,
        setup=parsed.setup,
        base=BaseRef(
            name=BASES[slug], digest=hexed(slug), model_type="bert", hidden_size=1, num_layers=1, vocab_size=1
        ),
        parent=reference(on) if on else None,
        cycle=tuple(reference(one) for one in turns),
        recipe={},
        seed=0,
        data=(),
        training=Training(steps=1, best_step=1, seconds=0.0),
        metrics={},
        versions={},
        created=f"2026-01-{day:02}T00:00:00Z",
        files=files,
        digest=weights_digest(files),
    )
    return Entry(manifest, f"202601{day:02}T000000Z-{'0' * 12}", "x")


def reference(one: Entry) -> LanguageAdapterRef:
    return LanguageAdapterRef(name=one.manifest.name, digest=one.manifest.digest)


def want(mixture: str, task: str | None = "pos", **options: Any) -> AdapterQuery:
    return AdapterQuery(Mixture.parse(mixture), task, **options)


BA = entry("mbert/en-wo", weights="1")
TA = entry("mbert/en-wo/pos", on=BA)
ONLY = entry("mbert/en/pos@ta-only")
SKEWED = entry("mbert/en-wo@5:1")
SKEWED_TA = entry("mbert/en-wo@5:1/pos", on=SKEWED)
SEEDED_TA = entry("mbert/en-wo/pos#seed2", on=BA, day=20)
ALL = (BA, TA, ONLY, SKEWED, SKEWED_TA, SEEDED_TA)


@pytest.mark.parametrize(
    ("query", "found", "carrier"),
    [
        (want("en-wo"), TA, BA),
        (want("en-wo", None), BA, None),
        (want("en-wo@5:1"), SKEWED_TA, SKEWED),
        (want("en-wo@5:1", None), SKEWED, None),
        (want("en-wo", label="seed2"), SEEDED_TA, BA),
        (want("en-wo", setup="ta-only"), ONLY, None),
        (want("en-wo@5:1", setup="ta-only"), ONLY, None),
        (want("en-fo", setup="ta-only"), ONLY, None),
        (want("en-wo", base="mbert"), TA, BA),
        (want("en-wo", base="bert-base-multilingual-cased"), TA, BA),
        (want("en-wo", base=hexed("mbert")), TA, BA),
        (want("en-wo", base=hexed("mbert")[:8]), TA, BA),
    ],
)
def test_exactly_what_was_asked(query: AdapterQuery, found: Entry, carrier: Entry | None) -> None:
    for seed in range(5):
        candidates = random.Random(seed).sample(ALL, len(ALL))
        resolution = resolve(candidates, query)
        assert (resolution.entry, resolution.language_adapter) == (found, carrier)


def test_the_newest_version_wins() -> None:
    newer = entry("mbert/en-wo/pos", on=BA, day=9)
    assert resolve((newer, *ALL), want("en-wo")).entry == newer


def test_the_ba_is_chosen_by_digest_and_never_by_name() -> None:
    newer_ba = entry("mbert/en-wo", day=28, weights="2")
    assert resolve((newer_ba, *ALL), want("en-wo")).language_adapter == BA
    renamed = Entry(BA.manifest.model_copy(update={"name": "mbert/en-wo#kept"}), BA.version, "y")
    assert resolve((newer_ba, renamed, TA), want("en-wo")).language_adapter == renamed


def test_a_missing_ba_names_its_digest_and_both_ways_out() -> None:
    with pytest.raises(NotFoundError) as caught:
        resolve((TA, entry("mbert/en-wo", weights="2")), want("en-wo"))
    text = message(caught.value)
    assert BA.manifest.digest[:12] in text
    assert "badx-hub pull" in text
    assert "badx-hub train en-wo --base bert-base-multilingual-cased" in text


def test_a_ba_on_another_base_is_refused() -> None:
    foreign = Entry(
        BA.manifest.model_copy(update={"base": BA.manifest.base.model_copy(update={"digest": "9" * 64})}),
        BA.version,
        "x",
    )
    with pytest.raises(IntegrityError, match="different bases"):
        resolve((TA, foreign), want("en-wo"))


@pytest.mark.parametrize(
    ("candidates", "query", "said"),
    [
        ((SKEWED, SKEWED_TA), want("en-wo"), "mbert/en-wo@5:1/pos (another ratio: `--ratio 5:1`)"),
        ((BA, TA), want("en-wo@5:1"), "mbert/en-wo/pos (another ratio: `--ratio 1:1`)"),
        ((BA, SEEDED_TA), want("en-wo"), "mbert/en-wo/pos#seed2 (another label: `--label seed2`)"),
        (
            (BA, TA),
            want("en-wo", base="xlm-roberta-base"),
            "mbert/en-wo/pos (another base: `--base bert-base-multilingual-cased`)",
        ),
        ((entry("mbert/de-wo"),), want("en-wo", None), "mbert/de-wo (another source: `de-wo`)"),
        ((entry("mbert/wo-en"),), want("en-wo", None), "mbert/wo-en (the other direction: `wo-en`)"),
        ((entry("mbert/en+fo+wo"),), want("en-wo", None), "mbert/en+fo+wo (more languages: `en+fo+wo`)"),
    ],
)
def test_nothing_else_is_taken_but_the_nearest_are_named(
    candidates: tuple[Entry, ...], query: AdapterQuery, said: str
) -> None:
    with pytest.raises(NotFoundError) as caught:
        resolve(candidates, query)
    assert said in message(caught.value)
    assert "\n" not in message(caught.value)


@pytest.mark.parametrize(
    ("candidates", "query", "commands"),
    [
        ((), want("en-wo", None), "`badx-hub train en-wo`."),
        ((), want("en-wo"), "`badx-hub train en-wo`, then `badx-hub train en-wo --task pos --data ud:UD_English-EWT`."),
        ((BA,), want("en-wo"), ": `badx-hub train en-wo --task pos --data ud:UD_English-EWT`."),
        (
            (),
            want("en-wo", setup="ta-only"),
            ": `badx-hub train en-wo --task pos --data ud:UD_English-EWT --setup ta-only`.",
        ),
        ((), want("en-wo@5:1", None), "`badx-hub train en-wo --ratio 5:1`."),
        ((), want("wo", None, base="a b"), "`badx-hub train wo --base 'a b'`."),
        ((), want("en+fo+wo", None), "`badx-hub train en+fo+wo`."),
    ],
)
def test_the_error_ends_with_what_to_train(candidates: tuple[Entry, ...], query: AdapterQuery, commands: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        resolve(candidates, query)
    assert message(caught.value).endswith(commands)


def test_nearest_are_ranked_and_newest() -> None:
    older, newer = entry("mbert/de-wo/pos", on=BA_DE), entry("mbert/de-wo/pos", on=BA_DE, day=5)
    near = nearest((older, newer, SKEWED_TA, SEEDED_TA, BA, ONLY), want("en-wo"))
    assert [one.entry for one in near] == [SKEWED_TA, SEEDED_TA, newer]


BA_DE = entry("mbert/de-wo")


def test_several_bases_and_none_asked() -> None:
    other = entry("xlmr-base/en-wo")
    with refused(UsageError, r"`--base bert-base-multilingual-cased` or `--base xlm-roberta-base`"):
        resolve((BA, other), want("en-wo", None))
    assert resolve((BA, other), want("en-wo", None, base="xlm-roberta-base")).entry == other


def test_two_bases_under_one_slug() -> None:
    other = entry("mbert/en-wo", base="another", day=3)
    with refused(UsageError, f"--base {hexed('another')[:12]}"):
        resolve((BA, other), want("en-wo", None, base="mbert"))
    assert resolve((BA, other), want("en-wo", None, base=hexed("mbert")[:12])).entry == BA


def problem(name: str, day: int) -> Problem:
    return Problem(
        AdapterName.parse(name), f"202601{day:02}T000000Z-{'f' * 12}", "x", DataError("badx.json is malformed.")
    )


def test_an_unreadable_newest_version_is_no_reason_for_an_older_one() -> None:
    with pytest.raises(IntegrityError, match="malformed"):
        resolve(ALL, want("en-wo"), broken=[problem("mbert/en-wo/pos", 2)])
    with pytest.raises(IntegrityError, match="malformed"):
        resolve((BA,), want("en-wo"), broken=[problem("mbert/en-wo/pos", 2)])
    newer = entry("mbert/en-wo/pos", on=BA, day=3)
    for beside in (problem("mbert/en-wo/pos", 2), problem("mbert/en-fo/pos", 9), problem("xlmr-base/en-wo/pos", 9)):
        assert resolve((*ALL, newer), want("en-wo"), broken=[beside]).entry == newer


def test_wanted_is_checked() -> None:
    with pytest.raises(UsageError, match=r"bad-x, mad-x, ma, tlr, .*, ta-only, full"):
        want("en-wo", setup="nonsense")
    with refused(UsageError, "--task"):
        want("en-wo", None, setup="ta-only")


@pytest.mark.parametrize(
    ("label", "flag"), [("seed2", "--seed 2"), ("seedy", "--label seedy"), ("mine", "--label mine")]
)
def test_the_advice_for_a_label_trains_the_seed_behind_it(label: str, flag: str) -> None:
    assert training_command(want("en-wo", label=label)).endswith(flag)


def test_train_command_is_one_that_a_shell_reads_back() -> None:
    command = training_command(want("en-zh_Hant", base="my base; rm -rf", label="seed2"))
    assert shlex.split(command) == [
        "badx-hub", "train", "en-zh_Hant", "--task", "pos", "--data", "ud:UD_English-EWT",
        "--base", "my base; rm -rf", "--seed", "2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("there", "query", "said"),
    [
        ("mbert/en-da", want("en-fo", None), "mbert/en-da (a related target: `en-da`)"),
        ("mbert/da", want("fo", None), "mbert/da (a related target: `da`)"),
        ("mbert/en-es", want("en-ay", None), "mbert/en-es (a related target: `en-es`)"),
    ],
)
def test_a_related_target_is_named(there: str, query: AdapterQuery, said: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        resolve((entry(there),), query)
    assert said in message(caught.value)
    assert message(caught.value).endswith(f"`{training_command(query)}`.")


def test_languages_that_have_nothing_to_do_with_it_are_not_named() -> None:
    for other in ("mbert/en-ug", "mbert/de-da", "mbert/en+da+sv", "mbert/da", "mbert/en/pos@ta-only"):
        with pytest.raises(NotFoundError) as caught:
            resolve((entry(other),), want("en-fo", None))
        assert "Nearest" not in message(caught.value)


def test_the_closest_relation_comes_first() -> None:
    near = ("mbert/fo-en", "mbert/en-da", "mbert/de-fo", "mbert/en-fo@5:1", "mbert/en+fo+wo")
    found = nearest([entry(name) for name in near], want("en-fo", None))
    assert [str(one.entry.name) for one in found] == [near[3], near[2], near[4], near[1], near[0]]


LA_EN, LA_WO = entry("mbert/en"), entry("mbert/wo")
TA_EN = entry("mbert/en/pos", on=LA_EN)


def test_the_fallback_takes_the_la_of_the_target() -> None:
    found = resolve((LA_EN, LA_WO, TA_EN), want("en-wo"), fallback="mad-x")
    assert (found.entry, found.language_adapter, found.setup) == (TA_EN, LA_WO, "mad-x")
    assert resolve((*ALL, LA_EN, LA_WO, TA_EN), want("en-wo"), fallback="mad-x").setup == "bad-x"
    without_ba = (TA, LA_EN, LA_WO, TA_EN)
    assert resolve(without_ba, want("en-wo"), fallback="mad-x").setup == "mad-x"


def test_the_fallback_stays_on_one_base_and_label() -> None:
    elsewhere, seeded = entry("xlmr-base/wo"), entry("mbert/wo#seed2")
    with refused(NotFoundError, "badx-hub train wo --base bert-base-multilingual-cased"):
        resolve((LA_EN, TA_EN, elsewhere, seeded), want("en-wo"), fallback="mad-x")
    with refused(
        NotFoundError,
        r"lacks adapters too.*: `badx-hub train en`, then `badx-hub train en-wo --task pos --data ud:\S+ --set",
    ):
        resolve((LA_WO,), want("en-wo"), fallback="mad-x")


@pytest.mark.parametrize("query", [want("en-wo", None), want("en-wo", setup="ta-only"), want("en+fo+wo"), want("wo")])
def test_there_is_no_fallback_but_for_pairs(query: AdapterQuery) -> None:
    with pytest.raises(UsageError, match="fallback"):
        resolve(ALL, query, fallback="mad-x")


def test_an_unknown_fallback() -> None:
    with pytest.raises(UsageError, match=r"'mad'.*mad-x"):
        resolve(ALL, want("en-wo"), fallback="mad")


def published_by(owner: str, one: Entry) -> Entry:
    return Entry(one.manifest, one.version, f"hf:{owner}/{one.name.repo_name}@{'a' * 40}")


def test_whose_adapter_it_is_to_be_is_never_guessed() -> None:
    newer = published_by("stranger", entry("mbert/en-wo/pos", on=BA, day=28))
    mine = (published_by("me", BA), published_by("me", TA))
    with refused(UsageError, r"2 namespaces.*`--registry hf:me` or `--registry hf:stranger`"):
        resolve((*mine, newer), want("en-wo"))
    assert resolve(mine, want("en-wo")).entry == mine[1]


def test_a_place_is_looked_into_before_the_next_one_is_drawn() -> None:
    def chain() -> Iterator[RegistrySnapshot]:
        yield RegistrySnapshot((BA, TA))
        raise AssertionError("drawn too far")

    assert resolve_in_order(chain(), want("en-wo")).entry == TA


def test_an_unreadable_newer_version_counts_in_its_own_place_alone() -> None:
    far = RegistrySnapshot((), (problem("mbert/en-wo/pos", 28),))
    assert resolve_in_order([RegistrySnapshot((BA, TA)), far], want("en-wo")).entry == TA
    with pytest.raises(IntegrityError):
        resolve_in_order([far, RegistrySnapshot((BA, TA))], want("en-wo"))


def test_what_to_train_is_on_the_one_base_that_is_there() -> None:
    other = entry("xlmr-base/en-wo")
    with refused(NotFoundError, r"`badx-hub train en-wo --ratio 5:1 --base xlm-roberta-base`"):
        resolve((other,), want("en-wo@5:1", None))
    with refused(NotFoundError, r"`badx-hub train en-wo --ratio 5:1`"):
        resolve((other, BA), want("en-wo@5:1", None))


# --- setups ---

LA_FO = entry("mbert/fo")
MA = entry("mbert/en+fo+wo")
TA_MA = entry("mbert/en+fo+wo/pos", on=MA)
TLR = entry("mbert/en-wo/pos@tlr", turns=(LA_EN, LA_WO))


def test_mad_x_swaps_the_target_s_adapter_in() -> None:
    found = resolve((LA_EN, LA_WO, TA_EN, *ALL), want("en-wo", setup="mad-x"))
    assert (found.entry, found.language_adapter, found.setup) == (TA_EN, LA_WO, "mad-x")
    with refused(NotFoundError, r"mbert/en/pos would be used.*`badx-hub train wo --base bert-base"):
        resolve((LA_EN, TA_EN, *ALL), want("en-wo", setup="mad-x"))


def test_the_target_s_adapter_is_the_newest_one_and_that_of_training_where_there_is_one() -> None:
    newer = entry("mbert/wo", day=9, weights="again")
    assert resolve((LA_EN, LA_WO, newer, TA_EN), want("en-wo", setup="mad-x")).language_adapter == newer
    assert resolve((LA_EN, LA_WO, newer, TLR), want("en-wo", setup="tlr")).language_adapter == LA_WO


def test_tlr_takes_its_own_pair_first_and_then_one_with_more_languages() -> None:
    wider = entry("mbert/en+fo+wo/pos@tlr", turns=(LA_EN, LA_FO, LA_WO), day=9)
    there = (LA_EN, LA_WO, LA_FO, TLR, wider)
    assert resolve(there, want("en-wo", setup="tlr")).entry == TLR
    found = resolve(there, want("en-fo", setup="tlr"))
    assert (found.entry, found.language_adapter) == (wider, LA_FO)
    with pytest.raises(UsageError, match="one target"):
        resolve(there, want("en+fo+wo", setup="tlr"))


def test_ma_is_the_one_mixture_that_has_the_pair() -> None:
    there = (*ALL, MA, TA_MA)
    for asked in ("en-wo", "en-fo", "en+fo+wo"):
        assert resolve(there, want(asked, setup="ma")).entries == (MA, TA_MA)
    with refused(NotFoundError, r"`badx-hub train en\+ug\+LANG`, then `badx-hub train en\+ug\+LANG --task pos"):
        resolve(there, want("en-ug", setup="ma"))
    wider = entry("mbert/en+fo+wo+ug", weights="w")
    with pytest.raises(UsageError, match=r"2 sets of languages.*en\+fo\+wo or en\+fo\+wo\+ug"):
        resolve((*there, wider, entry("mbert/en+fo+wo+ug/pos", on=wider)), want("en-wo", setup="ma"))


def test_what_is_missing_is_said_in_the_order_of_training() -> None:
    assert training_commands((), want("en-wo", setup="tlr")) == (
        "badx-hub train en",
        "badx-hub train wo",
        "badx-hub train en-wo --task pos --data ud:UD_English-EWT --setup tlr",
    )
    assert training_commands((LA_WO, LA_EN), want("en-wo@5:1", setup="mad-x")) == (
        "badx-hub train en-wo --task pos --data ud:UD_English-EWT --setup mad-x",
    )
    assert training_commands((), want("en-wo", setup="full")) == (
        "badx-hub train en-wo --task pos --data ud:UD_English-EWT --setup full",
    )
    assert training_commands((), want("en-wo@5:1")) == (
        "badx-hub train en-wo --ratio 5:1",
        "badx-hub train en-wo --ratio 5:1 --task pos --data ud:UD_English-EWT",
    )
