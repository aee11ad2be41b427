from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.adapter_files import WEIGHT_FILES, is_allowed_file, needed_files, weights_digest
from badx_hub.errors import DataError, IntegrityError, NotFoundError
from badx_hub.manifest import MAX_MANIFEST_BYTES, BaseRef, Manifest, ManifestDraft, Training
from badx_hub.names import AdapterName
from badx_hub.storage import digest_of
from badx_hub.untrusted_files import IrregularFile

FILES = {name: f"{index}" * 64 for index, name in enumerate(WEIGHT_FILES)}


def fields(name: str = "mbert/en-wo/pos", **changes: Any) -> dict[str, Any]:
    """The JSON value of a valid badx.json, with changes."""
    parsed = AdapterName.parse(name)
    files = {file: FILES[file] for file in needed_files(parsed.kind)}
    value = {
        "schema_version": 1,
        "name": name,
        "kind": parsed.kind,
        "mixture": [list(part) for part in parsed.mixture.parts],
        "task": parsed.task,
        "setup": parsed.setup,
        "base": {
            "name": "bert-base-multilingual-cased",
            "digest": "b" * 64,
            "model_type": "bert",
            "hidden_size": 768,
            "num_layers": 12,
            "vocab_size": 119547,
        },
        "parent": {"name": str(parsed.language_adapter), "digest": "a" * 64} if parsed.language_adapter else None,
        **({"cycle": turns(*parsed.mixture.cycle)} if parsed.setup == "tlr" else {}),
        "recipe": {"name": "quick", "adapter": {"reduction_factor": 2}},
        "seed": 1,
        "data": [{"language": "en", "name": "en.txt", "digest": "c" * 64, "counts": {"kept": 3}}],
        "labels": ["NOUN", "VERB"] if parsed.task else None,
        "training": {"steps": 10, "best_step": 5, "tokens": 100, "seconds": 1.5},
        "metrics": {"dev": {"en/accuracy": 0.5}},
        "versions": {"badx_hub": "0.1.0"},
        "created": "2026-01-01T00:00:00Z",
        "licence": "mit",
        "files": files,
        "digest": weights_digest(files),
    }
    return {**value, **changes}


def turns(*languages: str, **digests: str) -> list[dict[str, str]]:
    """LAs on mBERT, one a step."""
    return [{"name": f"mbert/{tag}", "digest": digests.get(tag, digest_of(tag))} for tag in languages]


def read(value: dict[str, Any]) -> Manifest:
    return Manifest.from_json(json.dumps(value), "badx.json")


NAMES = [
    "mbert/en-wo",
    "mbert/en-wo@5:1",
    "mbert/wo",
    "mbert/en+fo+ug",
    "mbert/en-wo/pos",
    "mbert/en/pos@ta-only",
    "mbert/en-wo@2:1/pos@tlr",
    "mbert/en+fo+ug/pos@tlr",
    "mbert/en/pos@full",
]


@pytest.mark.parametrize("name", NAMES)
def test_text_round_trip(name: str) -> None:
    manifest = read(fields(name))
    text = manifest.to_json()
    again = Manifest.from_json(text, "badx.json")
    assert again == manifest
    assert again.to_json() == text
    assert str(manifest.adapter_name) == name


def test_a_manifest_takes_kind_mixture_task_and_setup_from_the_name() -> None:
    draft = ManifestDraft(
        name="mbert/en-wo@5:1",
        base=BaseRef.model_validate(fields()["base"]),
        recipe={},
        seed=0,
        data=(),
        training=Training(steps=1, best_step=1, seconds=0.0),
        metrics={},
        versions={},
    )
    made = Manifest.of(draft, {file: FILES[file] for file in needed_files("bilingual")})
    assert (made.kind, made.mixture, made.task, made.setup) == ("bilingual", (("en", 5), ("wo", 1)), None, None)
    assert draft.created.endswith("Z")


def test_unknown_keys_are_ignored() -> None:
    value = fields(colour="blue")
    value["base"] = {**value["base"], "colour": "blue"}
    assert read(value) == read(fields())


def test_fields_of_later_versions_have_defaults_for_older_manifests() -> None:
    manifest = read(fields())
    assert (manifest.evaluations, manifest.origin, manifest.imported_from) == ((), "trained", None)
    judged = {"split": "test", "language": "wo", "name": "wo.conllu", "digest": "e" * 64, "examples": 3}
    again = read(fields(evaluations=[judged], origin="imported", imported_from="hf:org/name@0123"))
    assert again.evaluations[0].model_dump() == judged
    assert (again.origin, again.digest) == ("imported", manifest.digest)


def test_newer_schema_says_update() -> None:
    with pytest.raises(IntegrityError, match=r"schema 2.*update badx_hub"):
        read({"schema_version": 2, "anything": []})


@pytest.mark.parametrize(
    "name",
    [
        "../x.png",
        "a/b.png",
        "/etc/passwd",
        "..",
        "a\0.png",
        "a\\b.png",
        ".hidden.png",
        "x.bin",
        "adapter.safetensors.pt",
        "badx.json",
        "x.png\n",
        "ü.png",
        "x.PNG",
        "README.MD",
        "",
        "a" * 200 + ".png",
    ],
)
def test_file_names_stay_in_the_folder(name: str) -> None:
    assert not is_allowed_file(name)
    with pytest.raises(DataError, match="files"):
        read(fields(files={**FILES, name: "d" * 64}))


def test_file_names_that_differ_by_case_alone() -> None:
    files = {**FILES, "Curves.png": "d" * 64, "curves.png": "d" * 64}
    with pytest.raises(DataError, match="case"):
        read(fields(files=files))


@given(st.text())
def test_allowed_names_are_plain(name: str) -> None:
    if is_allowed_file(name):
        assert name.isascii() and name.isprintable()
        assert not set(name) & set("/\\ :") and not name.startswith(".")


BAD_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"digest": "0" * 64}, "digest"),
    ({"digest": "z" * 64}, "digest"),
    ({"digest": "A" * 64}, "digest"),
    ({"digest": FILES["adapter.safetensors"] + "\n"}, "digest"),
    ({"files": {**FILES, "README.md": "1" * 63}}, "files"),
    ({"files": {"adapter.safetensors": "1" * 64}}, "lack"),
    ({"kind": "bilingual"}, "agree"),
    ({"mixture": [["en", 5], ["wo", 1]]}, "agree"),
    ({"mixture": [["wo", 1], ["en", 1]]}, "agree"),
    ({"mixture": []}, "mixture"),
    ({"task": "dp"}, "agree"),
    ({"task": None}, "agree"),
    ({"setup": "ta-only"}, "agree"),
    ({"name": "nonsense"}, "name|nonsense"),
    ({"name": "mbert/eng-wol/pos"}, "written"),
    ({"name": "x" * 2000}, "name"),
    ({"name": 7}, "name"),
    ({"parent": None}, "parent"),
    ({"parent": {"name": "mbert/en-fo", "digest": "a" * 64}}, "own mixture"),
    ({"parent": {"name": "xlmr-base/en-wo", "digest": "a" * 64}}, "cannot be the parent"),
    ({"parent": {"name": "mbert/en-wo/pos", "digest": "a" * 64}}, "cannot be the parent"),
    ({"parent": {"name": "mbert/en-wo", "digest": "short"}}, "parent"),
    ({"created": "2026-13-01T00:00:00Z"}, "created"),
    ({"created": "2026-1-1T0:0:0Z"}, "created"),
    ({"created": "../../../etc/cron.d"}, "created"),
    ({"seed": 1.5}, "seed"),
    ({"seed": "1"}, "seed"),
    ({"seed": 10**40}, "seed"),
    ({"metrics": {"dev": {"en/accuracy": "high"}}}, "metrics"),
    ({"metrics": {"dev": {"en/perplexity": float("nan")}}}, "metrics|JSON"),
    ({"data": [{}] * 2000}, "data"),
    ({"labels": ["x" * 101]}, "labels"),
    ({"licence": "x" * 101}, "licence"),
    ({"versions": {"torch": None}}, "versions"),
    ({"training": {"steps": -1, "best_step": 0, "seconds": 0.0}}, "steps"),
    ({"schema_version": 0}, "schema_version"),
    ({"schema_version": "1"}, "schema_version"),
    ({"recipe": [1]}, "recipe"),
]


@pytest.mark.parametrize(("changes", "said"), BAD_VALUES)
def test_bad_values_are_refused_in_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read({**fields(), **changes})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("base", ["/models/mbert", "../mbert", "a/b/c", "C:\\models", "a\\b", "", "a/", "~/x", "a\nb"])
def test_a_base_is_a_name_and_no_path(base: str) -> None:
    with pytest.raises(DataError, match="base"):
        read(fields(base={**fields()["base"], "name": base}))


def test_ta_only_has_no_parent() -> None:
    value = fields("mbert/en/pos@ta-only", parent={"name": "mbert/en", "digest": "a" * 64})
    with pytest.raises(DataError, match="no parent"):
        read(value)


def test_a_ba_has_no_parent() -> None:
    with pytest.raises(DataError, match="no parent"):
        read(fields("mbert/en-wo", parent={"name": "mbert/en", "digest": "a" * 64}))


TLR = "mbert/en-wo/pos@tlr"
LA, BA = {"name": "mbert/wo", "digest": "a" * 64}, {"name": "mbert/en-wo", "digest": "a" * 64}
WRONG_CARRIERS: list[tuple[str, dict[str, Any], str]] = [
    (TLR, {"cycle": []}, r"trained on in turn \(cycle\)"),
    (TLR, {"parent": BA, "cycle": []}, r"trained on in turn \(cycle\)"),
    (TLR, {"parent": BA}, "a parent or a cycle, not both"),
    (TLR, {"cycle": turns("wo", "en")}, "one adapter each of en, wo"),
    (TLR, {"cycle": turns("en")}, "one adapter each of en, wo"),
    (TLR, {"cycle": turns("en", "wo", "en", "wo")}, "one adapter each of en, wo"),
    (TLR, {"cycle": [turns("en")[0], BA]}, "one adapter each of en, wo"),
    (TLR, {"cycle": [turns("en")[0], {**LA, "name": "xlmr-base/wo"}]}, "cannot be the parent"),
    (TLR, {"cycle": [turns("en")[0], {**LA, "name": "mbert/wo/pos"}]}, "cannot be the parent"),
    ("mbert/en-wo@2:1/pos@tlr", {"cycle": turns("en", "wo")}, "one adapter each of en, en, wo"),
    (
        "mbert/en-wo@2:1/pos@tlr",
        {"cycle": [*turns("en", en="d" * 64), *turns("en", "wo")]},
        "one adapter each of en, wo",
    ),
    ("mbert/en-wo/pos", {"cycle": turns("en", "wo")}, "a parent or a cycle"),
    ("mbert/en-wo/pos", {"parent": None, "cycle": turns("en", "wo")}, r"one adapter \(parent\) and has no cycle"),
    ("mbert/en-wo", {"cycle": turns("en", "wo")}, "no parent"),
    ("mbert/en/pos@ta-only", {"cycle": turns("en")}, "no parent"),
    ("mbert/en/pos@full", {"parent": {**LA, "name": "mbert/en"}}, "no parent"),
    ("mbert/en-wo/pos@later", {}, "names the adapter it was trained on"),
    ("mbert/en-wo/pos@later", {"parent": BA, "cycle": turns("wo")}, "a parent or a cycle"),
    ("mbert/en-wo/pos@later", {"parent": {**BA, "name": "xlmr-base/en-wo"}}, "cannot be the parent"),
]


@pytest.mark.parametrize(("name", "changes", "said"), WRONG_CARRIERS)
def test_carriers_that_the_setup_does_not_have_are_refused(name: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(fields(name, **changes))


@pytest.mark.parametrize("carriers", [{"parent": LA}, {"cycle": turns("fo", "wo", "fo")}])
def test_a_setup_of_a_later_version_has_a_parent_or_a_cycle(carriers: dict[str, Any]) -> None:
    assert read(fields("mbert/en-wo/pos@later", **carriers)).language_adapters


def test_carriers_are_each_named_once() -> None:
    tlr = read(fields("mbert/en+fo+ug@2:1:1/pos@tlr"))
    assert [ref.name for ref in tlr.cycle] == ["mbert/en", "mbert/en", "mbert/fo", "mbert/ug"]
    assert [ref.name for ref in tlr.language_adapters] == ["mbert/en", "mbert/fo", "mbert/ug"]
    ordinary = read(fields())
    assert ordinary.language_adapters == (ordinary.parent,)
    assert read(fields("mbert/en-wo")).language_adapters == read(fields("mbert/en/pos@full")).language_adapters == ()


def test_an_empty_cycle_is_not_written() -> None:
    assert "cycle" not in read(fields()).to_json()
    assert len(json.loads(read(fields(TLR)).to_json())["cycle"]) == 2


def test_a_model_has_an_encoder_and_no_adapter() -> None:
    value = fields("mbert/en/pos@full")
    assert sorted(read(value).files) == ["encoder.safetensors", "head_config.json", "model_head.safetensors"]
    adapter = {file: FILES[file] for file in needed_files("task")}
    with pytest.raises(DataError, match=r"lack encoder\.safetensors"):
        read({**value, "files": adapter, "digest": weights_digest(adapter)})


def test_the_manifests_of_the_embedded_registry_are_written_as_they_are() -> None:
    paths = sorted(Path(str(resources.files("badx_hub.demo"))).glob("registry/*/*/badx.json"))
    assert len(paths) == 3
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert Manifest.read(path.parent).to_json() == text


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "7", '"x"', "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass").hex()]
)
def test_not_a_manifest(text: str) -> None:
    with pytest.raises(DataError):
        Manifest.from_json(text, "badx.json")


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(DataError):
        Manifest.from_json(json.dumps(fields(recipe={"note": "\ud800"})), "badx.json")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda c: st.lists(c) | st.dictionaries(st.sampled_from(sorted(fields())), c),
    )
)
def test_any_json_is_read_or_refused(value: object) -> None:
    with pytest.raises((DataError, IntegrityError)):
        Manifest.from_json(json.dumps(value), "badx.json")


@given(st.sampled_from(sorted(set(fields()) - {"schema_version", "task", "setup", "labels", "licence"})))
def test_every_field_without_a_default_is_needed(key: str) -> None:
    value = fields()
    del value[key]
    with pytest.raises(DataError):
        read(value)


def test_read_from_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"badx\.json"):
        Manifest.read(tmp_path)
    path = tmp_path / "badx.json"
    path.write_text(read(fields()).to_json(), encoding="utf-8")
    assert Manifest.read(tmp_path) == read(fields())
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        Manifest.read(tmp_path)
    path.write_bytes(b" " * (MAX_MANIFEST_BYTES + 1))
    with pytest.raises(IrregularFile, match="4,194,305 bytes"):
        Manifest.read(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(IrregularFile, match="is a folder"):
        Manifest.read(tmp_path)


def test_the_digest_is_over_weights_alone() -> None:
    assert weights_digest(FILES) == weights_digest({**FILES, "README.md": "d" * 64})
    assert weights_digest(FILES) != weights_digest({**FILES, "adapter.safetensors": "d" * 64})
    assert weights_digest(FILES) != weights_digest({file: FILES[file] for file in WEIGHT_FILES[:2]})
