from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from badx_hub import load_bilingual_stack
from badx_hub.manifest import IMPORTED, LanguageAdapterRef, Manifest, ManifestDraft, SourceRef
from badx_hub.manifest_fields import EvaluationRef
from badx_hub.names import AdapterName
from badx_hub.registry import LocalRegistry
from badx_hub.registry.adapter_folder import prepare
from badx_hub.registry.cards import render_card
from tests.made import made

Card = tuple[dict[str, Any], str]

HEADINGS = ["## Load", "## Training data", "## Recipe", "## Scores", "## Lineage", "## Limits", "## Citation"]
NASTY = [
    "**bold** _it_ [a](http://evil.example) ![i](x.png)",
    "<script>alert(1)</script><!-- x --></table>",
    "a | b || c \\| d \\\\| e",
    "`x` ``y`` ```\n```python\nimport os",
    "x\n---\ntags: [evil]\n---\n# Heading\n",
    "x\r\n\r\n## Heading\r\n| a | b |",
    "{{ 7 * 7 }}{% raw %}{# c #}",
    "'\"); import os; os.system('x') #",
    "!!python/object/apply:os.system ['x']",
    "&amp; &#124; &lt;b&gt; @someone #1 www.evil.example",
    "\x00\x1b[31mred\u2028line\u202eright",
    ": - [x] > quote ~~~",
]


@pytest.fixture
def manifest(make: Any) -> Any:
    return lambda name, **options: Manifest.read(make(name, **options))


def parts(card: str) -> Card:
    """The metadata, read back, and the rest."""
    found = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    assert found is not None
    return yaml.safe_load(found[1]), card[found.end() :]


def outside_fences(body: str) -> list[str]:
    lines, inside = [], False
    for line in body.split("\n"):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            lines.append(line)
    assert not inside
    return lines


def tables(body: str) -> list[list[str]]:
    """The tables' lines; each has the columns of its head."""
    found: list[list[str]] = [[]]
    for line in outside_fences(body):
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def fences(body: str) -> list[str]:
    return re.findall(r"^```\w+\n(.*?)^```$", body, re.DOTALL | re.MULTILINE)


BA_CARD = """\
---
base_model: google-bert/bert-base-multilingual-cased
language:
- en
- wo
library_name: adapter-transformers
license: mit
tags:
- adapter-transformers
- badx
- badx:bilingual
- badx-source:en
- badx-target:wo
base_model_relation: adapter
---

# `mbert/en-wo@5:1`

A bilingual adapter (BA) for English (en) x 5, Wolof (wo) x 1.
One bottleneck adapter trained by masked-language modelling on text of these languages in turn,
inside `bert-base-multilingual-cased`, whose own weights stayed as they were.
It has no task head: a task adapter is trained on top of it, on labelled data of one language, and is then
used on the others without labels.

## Load

With badx_hub, to train a task adapter on it:

```bash
badx-hub train en-wo --ratio 5:1 --task pos
```

With plain `adapters`, from a folder that holds these files:

```python
from adapters import AutoAdapterModel

model = AutoAdapterModel.from_pretrained('bert-base-multilingual-cased')
language_adapter = model.load_adapter('./mbert.en-wo.5-1', use_safetensors=True)
model.set_active_adapters(language_adapter)
```

## Training data

| Language | Source | sha256 | Counts |
|---|---|---|---|
| en | `en.txt` | `cccccccccccc` | empty 3, kept 1,200 |

## Recipe

| Setting | Value |
|---|---|
| `adapter.leave_out` | `[]` |
| `adapter.reduction_factor` | `2` |
| `name` | `quick` |
| `seed` | `7` |
| `steps` | `1,000` |
| `step kept` | `500` |
| `tokens seen` | `2,560,000` |
| `seconds` | `62` |

Made with adapters 1.3.0, badx_hub 0.1.0.

## Scores

| Split | Language | Metric | Value |
|---|---|---|---|
| dev | en | perplexity | 12.35 |

![Learning curves](curves.png)

Perplexities are those of masked words in held-out text of the same sources; compare them with one another
only on the same base.

## Lineage

| | Name | Repository | Digest (sha256) |
|---|---|---|---|
| This adapter | `mbert/en-wo@5:1` | `mbert.en-wo.5-1` | `DIGEST` |
| Base | `bert-base-multilingual-cased` | `bert-base-multilingual-cased` | `BASE` |

## Limits

- It works inside the base with the digest above and no other.
- It has seen the text listed above and no other: other domains, dialects and spellings of these languages
  may fare worse, and whatever bias that text has is in it.
- Scores come from one run with one seed.

## Citation
"""


def test_the_card_of_a_ba(manifest: Any) -> None:
    ba = manifest("mbert/en-wo@5:1", files={"curves.png": b"png"})
    card, citation = render_card(ba).split("\n```bibtex\n")
    assert card == BA_CARD.replace("DIGEST", ba.digest).replace("BASE", ba.base.digest)
    assert "Zero-Shot Cross-Lingual Transfer" in citation
    assert citation.endswith("}\n```\n")
    assert all(name in citation for name in ("Parovi", "Glava", "Vuli", "Korhonen", "2022"))


TA_CARD = """\
---
base_model: google-bert/bert-base-multilingual-cased
language:
- en
- wo
library_name: adapter-transformers
license: mit
pipeline_tag: token-classification
tags:
- adapter-transformers
- badx
- badx:task
- badx-source:en
- badx-target:wo
- badx-task:pos
base_model_relation: adapter
model-index:
- name: mbert.en-wo.pos
  results:
  - task:
      type: token-classification
      name: pos
    dataset:
      name: wo_wtb-ud-test.conllu
      type: universal_dependencies
      config: wo_wtb
      split: test
      args:
        sha256:
        - eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee
    metrics:
    - type: accuracy
      value: 0.6234567
    - type: macro_f1
      value: 0.4
---

# `mbert/en-wo/pos`

A task adapter (TA) for `pos`: an adapter and a prediction head trained on labelled English data
on top of `mbert/en-wo`, which stayed as it was, inside `bert-base-multilingual-cased`. It is meant for
Wolof text, of which it has seen no labels.

Labels: `NOUN`, `VERB`.

## Load

With badx_hub:

```python
from badx_hub import load_bilingual_stack

stack = load_bilingual_stack("en", "wo", "pos")
stack.predict(["One sentence a string."])
```

With plain `adapters`, from folders that hold the files of the two adapters:

```python
from adapters import AutoAdapterModel
from adapters.composition import Stack

model = AutoAdapterModel.from_pretrained('bert-base-multilingual-cased')
language_adapter = model.load_adapter('./mbert.en-wo', use_safetensors=True)
task = model.load_adapter('./mbert.en-wo.pos', use_safetensors=True)
model.active_adapters = Stack(language_adapter, task)
```

## Training data

| Language | Source | sha256 | Counts |
|---|---|---|---|
| en | `en.txt` | `cccccccccccc` | empty 3, kept 1,200 |

## Recipe

| Setting | Value |
|---|---|
| `adapter.leave_out` | `[]` |
| `adapter.reduction_factor` | `2` |
| `name` | `quick` |
| `seed` | `7` |
| `steps` | `1,000` |
| `step kept` | `500` |
| `tokens seen` | `2,560,000` |
| `seconds` | `62` |

Made with adapters 1.3.0, badx_hub 0.1.0.

## Scores

| Split | Language | Metric | Value |
|---|---|---|---|
| dev | en | accuracy | 0.9123 |
| test | wo | accuracy | 0.6235 |
| test | wo | macro_f1 | 0.4 |

Per label:

| Split | Language | Label | Metric | Value |
|---|---|---|---|---|
| test | wo | `NOUN` | f1 | 0.5 |

Measured after training, on:

| Split | Language | File | sha256 | Examples |
|---|---|---|---|---|
| test | wo | `wo_wtb-ud-test.conllu` | `eeeeeeeeeeee` | 470 |

## Lineage

| | Name | Repository | Digest (sha256) |
|---|---|---|---|
| This adapter | `mbert/en-wo/pos` | `mbert.en-wo.pos` | `DIGEST` |
| Trained on | `mbert/en-wo` | `PARENT` | `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` |
| Base | `bert-base-multilingual-cased` | `bert-base-multilingual-cased` | `BASE` |

## Limits

- It works inside the base and on the adapter with the digests above and no other.
- Its labels come from English annotation alone; what English does not mark, it has not learnt to mark.
- Scores come from one run with one seed, on the splits named above; other domains may fare worse.
- Scores in other languages than English are zero-shot: no labels in these languages were used in training.

## Citation
"""
TEST_FILE = EvaluationRef(split="test", language="wo", name="wo_wtb-ud-test.conllu", digest="e" * 64, examples=470)
METRICS = {
    "test": {"wo/accuracy": 0.6234567, "wo/macro_f1": 0.4, "wo/f1/NOUN": 0.5},
    "dev": {"en/accuracy": 0.91234},
}


@pytest.fixture
def measured(manifest: Any) -> Manifest:
    """A TA that was judged on Wolof after training."""
    found: Manifest = manifest("mbert/en-wo/pos", metrics=METRICS, evaluations=(TEST_FILE,))
    return found


def test_the_card_of_a_ta(measured: Manifest) -> None:
    digests = TA_CARD.replace("DIGEST", measured.digest).replace("BASE", measured.base.digest)
    expected = digests.replace("PARENT", "mbert.en-wo")
    assert render_card(measured).split("\n```bibtex\n")[0] == expected


HUB_SNIPPET = """\
With plain `adapters`:

```python
from adapters import AutoAdapterModel
from adapters.composition import Stack
from huggingface_hub import snapshot_download

model = AutoAdapterModel.from_pretrained('bert-base-multilingual-cased')
language_adapter = model.load_adapter(snapshot_download('org/mbert.en-wo', revision='COMMIT'), use_safetensors=True)
task = model.load_adapter(snapshot_download('org/mbert.en-wo.pos'), use_safetensors=True)
model.active_adapters = Stack(language_adapter, task)
```
"""


def test_a_published_card_says_where_the_parent_is(measured: Manifest) -> None:
    commit = "0123456789" * 4
    place = f"org/mbert.en-wo@{commit}"
    card = render_card(measured, published={measured.language_adapters[0]: place}, location="org/mbert.en-wo.pos")
    assert f"| Trained on | `mbert/en-wo` | `{place}` | `{'a' * 64}` |" in card
    assert HUB_SNIPPET.replace("COMMIT", commit) in card
    assert 'load_bilingual_stack("en", "wo", "pos", registry="hf:org")' in card
    plain = render_card(measured)
    assert parts(card)[0] == parts(plain)[0]


@pytest.mark.parametrize("place", ["x') or evil('@" + "a" * 40, "org/name@main", "../name", "a/b/c", "| ` <b>"])
def test_a_location_is_data_too(measured: Manifest, place: str) -> None:
    card = render_card(measured, published={measured.language_adapters[0]: place}, location=place)
    assert "snapshot_download" not in card and "registry=" not in card
    assert [line for line in outside_fences(parts(card)[1]) if line.startswith("#")][1:] == HEADINGS
    assert {line.count("|") for line in tables(parts(card)[1])[-1]} == {5}


@pytest.mark.parametrize(
    ("name", "metrics", "shown"),
    [
        ("mbert/en-wo/pos", {"dev": {"en/accuracy": 0.9}}, []),
        ("mbert/en-wo/pos", {"test": {"wo/f1/NOUN": 0.5, "accuracy": 0.1}}, []),
        ("mbert/en-wo", {"dev": {"wo/perplexity": 9.0}}, []),
        ("mbert/en/pos@ta-only", {"test": {"wo/accuracy": 0.5, "en/accuracy": 0.9}}, [("unknown", "wo", 0.5)]),
    ],
)
def test_the_model_index_has_zero_shot_scores_alone(
    manifest: Any, name: str, metrics: dict[str, Any], shown: list[tuple[str, str, float]]
) -> None:
    index = parts(render_card(manifest(name, metrics=metrics)))[0].get("model-index", [])
    results = [result for model in index for result in model["results"]]
    found = [(r["dataset"]["name"], r["dataset"]["config"], r["metrics"][0]["value"]) for r in results]
    assert found == shown


def test_scores_on_files_of_no_known_treebank(manifest: Any) -> None:
    files = tuple(TEST_FILE.model_copy(update={"name": name}) for name in ("wo_wtb-ud-test.conllu", "my.conllu"))
    metadata, _ = parts(render_card(manifest("mbert/en-wo/pos", metrics=METRICS, evaluations=files)))
    dataset = metadata["model-index"][0]["results"][0]["dataset"]
    assert dataset["type"] == "unknown"
    assert dataset["name"] == "wo_wtb-ud-test.conllu, my.conllu"


def test_the_card_of_an_imported_adapter_claims_nothing(manifest: Any) -> None:
    imported = manifest(
        "mbert/wo", data=(), versions={}, metrics={}, origin=IMPORTED, imported_from="hf:AdapterHub/wo@0123"
    )
    _, body = parts(render_card(imported))
    assert "imported from `hf:AdapterHub/wo@0123`" in body
    assert not re.search("masked|steps|seconds|one seed|Made with", body)
    assert "\n\n\n" not in body


ALL_NAMES = [
    "mbert/wo",
    "mbert/en-wo",
    "mbert/en+fo+ug",
    "mbert/en-zh_Hant@1:2#seed2",
    "mbert/en-wo/pos#seed2",
    "mbert/en-wo@5:1/pos",
    "mbert/en+fo+ug/pos",
    "mbert/en/pos@ta-only",
    "mbert/en/pos",
    "mbert/en-wo@2:1/pos@tlr",
    "mbert/en+fo+ug/pos@tlr",
    "mbert/en/pos@full",
]


@pytest.mark.parametrize("name", ALL_NAMES)
def test_every_kind_has_the_same_parts(manifest: Any, name: str) -> None:
    metadata, body = parts(render_card(manifest(name)))
    parsed = AdapterName.parse(name)
    assert [line for line in outside_fences(body) if line.startswith("#")] == [
        f"# `{name}`",
        *HEADINGS,
    ]
    assert metadata["language"] == list(parsed.mixture.languages)
    assert f"badx:{parsed.kind}" in metadata["tags"]
    assert parsed.repo_name in body
    assert "\n\n\n" not in body


@pytest.mark.parametrize("name", ALL_NAMES)
def test_python_snippets_compile(manifest: Any, name: str) -> None:
    for code in fences(parts(render_card(manifest(name)))[1]):
        if "import" in code:
            ast.parse(code)


TURNS = """\
A task adapter (TA) for `pos`: an adapter and a prediction head trained on labelled English data
on top of `mbert/en` and `mbert/wo` in turn, one a step, which stayed as they were,
inside `bert-base-multilingual-cased`. It is meant for Wolof text, of which it has seen no labels,
and stands there on that language's adapter.
"""


def test_the_card_of_a_ta_whose_carriers_took_turns(manifest: Any) -> None:
    tlr = manifest("mbert/en-wo@2:1/pos@tlr")
    english, wolof = tlr.language_adapters
    place = f"org/mbert.wo@{'0123456789' * 4}"
    card = render_card(tlr, published={wolof: place}, location="org/mbert.en-wo.2-1.pos-tlr")
    assert TURNS in card
    assert f"| Trained on | `mbert/en` | `mbert.en` | `{english.digest}` |" in card
    assert f"| Trained on | `mbert/wo` | `{place}` | `{wolof.digest}` |" in card
    assert f"language_adapter = model.load_adapter(snapshot_download('org/mbert.wo', revision='{place[-40:]}')" in card
    assert 'load_bilingual_stack("en", "wo", "pos", ratio="2:1", setup="tlr", registry="hf:org")' in card
    assert "on the adapters with the digests above and no others" in card
    several = render_card(manifest("mbert/en+fo+ug/pos@tlr#seed2"))
    assert "`mbert/en`, `mbert/fo` and `mbert/ug` in turn" in several
    assert "language_adapter = model.load_adapter('./mbert.ug'" in several
    assert 'load_bilingual_stack("en", "ug", "pos", setup="tlr", label="seed2")' in several


def test_the_card_of_a_ta_on_an_la_says_that_it_can_be_moved(manifest: Any) -> None:
    card = render_card(manifest("mbert/en/pos"))
    assert "For text in another language,\nof which it has seen no labels, it can be used on that" in card
    assert "English text, of which it has seen no labels" not in card
    assert "on that adapter or another language's of that base" in card


def test_the_card_of_a_whole_model(manifest: Any) -> None:
    model = manifest("mbert/en/pos@full", metrics={"test": {"wo/accuracy": 0.5}})
    metadata, body = parts(render_card(model))
    assert "badx:model" in metadata["tags"] and metadata["model-index"]
    assert "A fully fine-tuned model for `pos`: all of `bert-base-multilingual-cased`, with a prediction head" in body
    assert "badx-hub predict en --task pos --setup full " in body
    assert f"| This model | `mbert/en/pos@full` | `mbert.en.pos-full` | `{model.digest}` |" in body
    assert "Trained on" not in body and "load_adapter(" not in body


def test_the_card_depends_on_the_manifest_alone(make: Any) -> None:
    folder = make("mbert/en-wo/pos", files={"curves.png": b"png"})
    assert render_card(Manifest.read(folder)) == (folder / "README.md").read_text(encoding="utf-8")


def test_published_cards_name_their_publisher_in_commands(manifest: Any) -> None:
    alone = render_card(manifest("mbert/en/pos@ta-only"), location="org/mbert.en.pos-ta-only")
    assert "badx-hub predict en --task pos --setup ta-only --registry hf:org " in alone
    language_adapter = render_card(manifest("mbert/en-wo"), location="org/mbert.en-wo")
    assert "badx-hub pull org/mbert.en-wo\nbadx-hub train en-wo --task pos\n" in language_adapter


def test_options_stand_in_the_loading_snippet(manifest: Any) -> None:
    card = render_card(manifest("mbert/en-wo@5:1/pos#seed2"))
    assert 'load_bilingual_stack("en", "wo", "pos", ratio="5:1", label="seed2")' in card
    assert "badx-hub predict en --task pos --setup ta-only " in render_card(manifest("mbert/en/pos@ta-only"))


@pytest.mark.parametrize("nasty", NASTY)
@pytest.mark.parametrize("name", ["mbert/en-wo", "mbert/en-wo/pos", "mbert/en-wo/pos@tlr", "mbert/en/pos@full"])
def test_values_are_data(manifest: Any, nasty: str, name: str) -> None:
    """Whatever a manifest says, the card has the headings, tables and code blocks of an ordinary one.

    Manifests with control characters are refused when they are read; here nothing has read them.
    """
    plain = manifest(name)
    word = nasty[:100]
    hostile = {
        "data": (SourceRef.model_construct(language=word, name=nasty, digest="c" * 64, counts={word: 1}),),
        "recipe": {"name": nasty, word: {"inner": [nasty, {"x": nasty}]}},
        "metrics": {word: {nasty: 1.0, f"{word}/{nasty}": 2.0, f"{word}/f1/{nasty}": 3.0, "plain": 4.0}},
        "versions": {word: word},
        "licence": word,
        "labels": (word, "NOUN") if plain.labels else None,
        "evaluations": (
            EvaluationRef.model_construct(split=word, language=word, name=nasty, digest="d" * 64, examples=1),
        ),
        "origin": word,
        "imported_from": nasty,
    }
    base = plain.base.model_copy(update={"name": re.sub(r"[\\/\x00-\x1f\u2028\u202e]", "", nasty)[:90]})
    metadata, body = parts(render_card(plain.model_copy(update={**hostile, "base": base})))
    assert [line for line in outside_fences(body) if line.startswith("#")] == [f"# `{name}`", *HEADINGS]
    assert set(metadata) <= {
        "base_model",
        "base_model_relation",
        "language",
        "library_name",
        "license",
        "license_name",
        "pipeline_tag",
        "tags",
        "model-index",
    }
    assert metadata["tags"] == parts(render_card(plain))[0]["tags"]
    widths = [[line.count("|") for line in table] for table in tables(body)]
    assert [width[0] - 1 for width in widths] == [4, 2, 4, 5, 5, 4]
    assert all(set(width) == {width[0]} for width in widths)
    assert len(fences(body)) == len(fences(parts(render_card(plain))[1]))
    for code in fences(body):
        if code.startswith("from"):
            ast.parse(code)
    text = "\n".join(outside_fences(body))
    without_code = re.sub(r"`[^`\n]*`|</?code>", "", text)
    assert not re.search(r"<[A-Za-z!/]|https?://|\]\(|\*\*|~~", without_code)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u2028\u202e]", body)


def test_a_base_that_is_not_on_the_hub_is_not_linked(manifest: Any) -> None:
    plain = manifest("demo/en-wo")
    for name, place in (("demo", "resolve_base"), ("mini-mmt", "the folder of the base")):
        metadata, body = parts(render_card(manifest("demo/en-wo", base=plain.base.model_copy(update={"name": name}))))
        assert not {"base_model", "base_model_relation"} & set(metadata)
        assert f'from_pretrained("path/to/base")  # {place}' in body


def test_the_revision_of_a_base_stands_in_the_lineage_and_in_the_snippet(manifest: Any) -> None:
    base, commit = {**manifest("mbert/wo").base.model_dump(), "name": "org/base"}, "c" * 40
    card = render_card(manifest("mbert/wo", base={**base, "revision": commit}))
    assert f"| Base | `org/base` | `org/base` at `{commit}` |" in card
    assert f"from_pretrained('org/base', revision='{commit}')" in card
    assert "revision" not in render_card(manifest("mbert/wo", base={**base, "revision": None}))


def test_datasets_and_other_licences(manifest: Any) -> None:
    wiki = SourceRef(language="en", name="hf:wikimedia/wikipedia:20231101.en", digest="c" * 64, counts={})
    metadata, _ = parts(render_card(manifest("mbert/en-wo", data=(wiki, wiki), licence="As the Bible Society says")))
    assert metadata["datasets"] == ["wikimedia/wikipedia"]
    assert (metadata["license"], metadata["license_name"]) == ("other", "As the Bible Society says")


def test_no_torch_for_a_card() -> None:
    script = "import sys, badx_hub.registry.cards; print(*sorted({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_plain_snippets_of_turns_and_of_whole_models_run(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code on their cards gives what this package loads: the TA on the target's LA, and the whole model."""
    import torch

    own = LocalRegistry(tmp_path / "registry")
    las = [made(own, tiny_base, name, seed=seed) for seed, name in enumerate(("tiny/en", "tiny/wo"))]
    made(own, tiny_base, "tiny/en-wo/pos@tlr", seed=3, cycle=las)
    made(own, tiny_base, "tiny/en/pos@full", seed=4)
    for entry in own.list():
        (tmp_path / entry.name.repo_name).symlink_to(own.fetch(entry))
    tokens = torch.arange(5, 15).unsqueeze(0)
    monkeypatch.chdir(tmp_path)
    for name in ("tiny.en-wo.pos-tlr", "tiny.en.pos-full"):
        setup = name.rpartition("-")[2]
        card = (tmp_path / name / "README.md").read_text(encoding="utf-8")
        code = next(code for code in fences(card) if code.startswith("from adapters"))
        scope: dict[str, Any] = {}
        exec(code.replace("path/to/base", str(tiny_base)), scope)
        stack = load_bilingual_stack("en", "wo", "pos", setup=setup, base=str(tiny_base), registry=own)
        with torch.no_grad():
            assert torch.equal(scope["model"].eval()(tokens).logits, stack.model(tokens).logits)


def test_the_plain_snippets_run(
    draft: Callable[..., ManifestDraft], tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real adapters, saved by `adapters` and loaded by the code on their cards, give the same output."""
    import torch
    from adapters import AutoAdapterModel
    from adapters.composition import Stack

    model = AutoAdapterModel.from_pretrained(str(tiny_base))
    ba, ta = AdapterName.parse("tiny/en-wo"), AdapterName.parse("tiny/en-wo/pos")
    for name in (ba, ta):
        model.add_adapter(name.module_name, config="seq_bn")
    model.add_tagging_head(ta.module_name, num_labels=2)
    torch.nn.init.normal_(model.heads[ta.module_name][1].weight)
    cards = {}
    parent: LanguageAdapterRef | None = None
    for name in (ba, ta):
        folder = tmp_path / name.repo_name
        model.save_adapter(str(folder), name.module_name, with_head=name == ta, use_safetensors=True)
        manifest = prepare(
            folder, draft(name, parent=parent, base=draft(name).base.model_copy(update={"name": "tiny"}))
        )
        parent = LanguageAdapterRef(name=str(name), digest=manifest.digest)
        cards[name] = (folder / "README.md").read_text(encoding="utf-8")
        LocalRegistry(tmp_path / "registry").publish(folder)
    model.active_adapters = Stack(ba.module_name, ta.module_name)
    tokens = torch.arange(5, 15).unsqueeze(0)
    monkeypatch.chdir(tmp_path)
    for name, card in cards.items():
        code = next(code for code in fences(card) if code.startswith("from adapters"))
        scope: dict[str, Any] = {}
        exec(code.replace("path/to/base", str(tiny_base)), scope)
        loaded = scope["model"].eval()
        if name == ta:
            with torch.no_grad():
                assert torch.equal(loaded(tokens).logits, model.eval()(tokens).logits)
        else:
            assert list(loaded.adapters_config.adapters) == [ba.module_name]
