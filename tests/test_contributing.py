"""CONTRIBUTING.md is true: what it names exists, and who follows one of its lists has added what it is about."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md")
FILE = re.compile(r"`(?P<path>[\w./-]+\.(?:py|md|yaml|toml))`")
MODULE = re.compile(r"`(?P<module>badx_hub(?:\.\w+)+)`")
STEP = re.compile(r"^\d\. (?P<step>.+(?:\n   .+)*)", re.MULTILINE)

TOY_TASK = """
from dataclasses import dataclass
from typing import ClassVar

from badx_hub.tasks.pos import PosTask


@dataclass(frozen=True)
class ToyTask(PosTask):
    name: ClassVar[str] = "toy"
"""
TOY_SECTION = "  toy: {steps: 7, batch_size: 2, learning_rate: 0.1, eval_every: 1, save_every: 1, max_length: 9}\n"
TOY_SETUP = 'Setup("toy", "Toy", LanguageAdapterRole.SOURCE, LanguageAdapterRole.SOURCE, in_name=True)'
TOY_COMMAND = '''
from badx_hub.cli import _output


def toy() -> None:
    """Say toy."""
    _output.write("toy")
'''

TOY_FAMILY = """    "mpnet": Family(
        title="Toy",
        config=ToyLikeConfig,
        config_class="MPNetConfig",
        prefix="mpnet.",
        tokenizers=("MPNetTokenizerFast",),
        adapter_model=("toy", "ToyAdapterModel"),
        layers="encoder.layer",
        last_layer="of_toy",
        head=("lm_head.dense", GELU, "lm_head.layer_norm"),
    ),
"""
TOY_CONFIG = '''class ToyLikeConfig(BertLikeConfig):
    """Toy's: one position less than BERT's."""

    @property
    def max_length(self) -> int:
        return self.max_position_embeddings - 1
'''
TOY_LAYER = '''

def of_toy(layer: Any, hidden: Tensor, positions: Tensor) -> Tensor:
    """A layer of a toy."""
    return of_bert(layer, hidden, positions)
'''

# Section -> file -> (what is replaced, by what), in this order; a file that is not there yet is written.
ADDITIONS: Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]] = {
    "Add a task": {
        "badx_hub/tasks/toy.py": (("", TOY_TASK),),
        "badx_hub/tasks/__init__.py": (
            ("\n__all__", "from badx_hub.tasks.toy import ToyTask\n\n__all__"),
            ("NerTask())", "NerTask(), ToyTask())"),
        ),
        "badx_hub/recipes/paper.yaml": (("tasks:\n", "tasks:\n" + TOY_SECTION),),
        "badx_hub/recipes/quick.yaml": (("tasks:\n", "tasks:\n" + TOY_SECTION),),
        "badx_hub/registry/cards.py": (("_PIPELINES = {\n", '_PIPELINES = {\n    "toy": "token-classification",\n'),),
    },
    "Add a setup": {
        "badx_hub/setups.py": (("trains_base=True),\n)", f"trains_base=True),\n    {TOY_SETUP},\n)"),),
        "cli/_options.py": (('    FULL = "full"\n', '    FULL = "full"\n    TOY = "toy"\n'),),
    },
    "Add a family of bases": {
        "badx_hub/modeling/families.py": (
            ("    BertLikeConfig,\n", "    BertLikeConfig,\n    ToyLikeConfig,\n"),
            ("Mapping[str, Family] = {\n", "Mapping[str, Family] = {\n" + TOY_FAMILY),
            ('    "mpnet": ("MPNet", _NO_ADAPTERS),\n', ""),
        ),
        "badx_hub/modeling/base_configs.py": (("class RobertaLikeConfig", TOY_CONFIG + "\n\nclass RobertaLikeConfig"),),
        "badx_hub/modeling/last_layers.py": (
            ("\n\nLAST_LAYERS", TOY_LAYER + "\n\nLAST_LAYERS"),
            ("(of_bert, ", "(of_toy, of_bert, "),
        ),
    },
    "Add a command": {
        "cli/toy.py": (("", TOY_COMMAND),),
        "cli/__init__.py": (("_COMMANDS = (\n", '_COMMANDS = (\n    ("toy", "toy:toy", "toy"),\n'),),
    },
}
EXAMPLES = {"badx_hub/tasks/toy.py": "badx_hub/tasks/pos.py", "cli/toy.py": "cli/recipes.py"}
"""A new file -> the one that the list says to write it beside."""

ASKED = """
import json, runpy, sys
from typer.testing import CliRunner
from badx_hub.cli import application
from badx_hub.cli._options import SetupName
from badx_hub.languages import Mixture
from badx_hub.modeling.families import FAMILIES, OTHERS, checked_config, family_of
from badx_hub.modeling.last_layers import LAST_LAYERS
from badx_hub.names import AdapterName
from badx_hub.recipes import load_recipe
from badx_hub.registry.cards import _PIPELINES
from badx_hub.setups import SETUPS, setup_named
from badx_hub.tasks import TASKS, task_named

sizes = {"vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 4}
config = checked_config({"model_type": "mpnet", **sizes}, "toy")
last_layer = family_of(config).last_layer

print(json.dumps({
    "base": [config.max_length, family_of(config).title, last_layer in LAST_LAYERS, "mpnet" in OTHERS],
    "task": task_named("toy").name,
    "tasks": list(TASKS),
    "steps": [load_recipe(name).tasks["toy"].steps for name in ("paper", "quick")],
    "pipeline": _PIPELINES["toy"],
    "adapters": [str(one) for one in setup_named("toy").language_adapters(Mixture.parse("en-wo"))],
    "name": AdapterName.parse("mbert/en/toy@toy").setup,
    "setups": [list(SETUPS), [one.value for one in SetupName]],
    "command": CliRunner().invoke(application("toy"), ["toy"]).stdout,
    "page": runpy.run_path(sys.argv[1])["page"](),
}))
"""


def steps(section: str) -> list[str]:
    """The numbered steps of a section of CONTRIBUTING.md."""
    text = PAGES[0].read_text(encoding="utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [match["step"] for match in STEP.finditer(text)]


def code_files(section: str) -> set[str]:
    """The files of the package that the steps of a section name."""
    named = (match["path"] for step in steps(section) for match in FILE.finditer(step))
    return {path for path in named if path.startswith(("badx_hub/", "cli/"))}


def exists(name: str) -> bool:
    """Whether it is a module, or a function or class of one. Nothing is imported but packages."""
    above, _, last = name.rpartition(".")
    module = importlib.util.find_spec(above)
    assert module and module.origin, name
    if module.submodule_search_locations and importlib.util.find_spec(name):
        return True
    return any(getattr(one, "name", None) == last for one in ast.parse(Path(module.origin).read_bytes()).body)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_and_modules_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for match in FILE.finditer(text):
        assert (ROOT / match["path"]).is_file() or match["path"] == "badx.json", match["path"]
    for match in MODULE.finditer(text):
        assert exists(match["module"]), match["module"]


def test_the_table_of_floors_is_the_contract_of_imports() -> None:
    table = PAGES[0].read_text(encoding="utf-8").partition("| Floor |")[2].partition("\n\n")[0]
    rows = [tuple(re.findall(r"`(\w+)`", line.split("|")[1])) for line in table.splitlines()[2:]]
    assert tuple(rows) == runpy.run_path(str(ROOT / "docs" / "make_map.py"))["floors"]()


@pytest.mark.parametrize("section", ADDITIONS)
def test_a_list_names_the_files_that_change(section: str) -> None:
    assert code_files(section) == {EXAMPLES.get(file, file) for file in ADDITIONS[section]}


def test_what_a_step_names_in_a_file_is_there() -> None:
    for section in ADDITIONS:
        for step in steps(section):
            files = [ROOT / match["path"] for match in FILE.finditer(step)]
            for word in re.findall(r"`(_[A-Za-z_]+|[A-Z][A-Z_]+|SetupName)`", step):
                assert any(word in file.read_text(encoding="utf-8") for file in files), (word, step)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a copy of the house says after the toys were added as the lists tell."""
    house = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "badx_hub", house / "badx_hub", ignore=_without_data)
    for name in ("cli", "cards"):
        shutil.copytree(ROOT / name, house / "badx_hub" / name, ignore=_without_data)
    for file, replacements in (item for section in ADDITIONS.values() for item in section.items()):
        place = house / (f"badx_hub/{file}" if file.startswith("cli/") else file)
        text = place.read_text(encoding="utf-8") if place.exists() else ""
        for old, new in replacements:
            assert old in text, f"{file} has no {old!r}"
            text = text.replace(old, new, 1)
        place.write_text(text, encoding="utf-8")
    asked = [sys.executable, "-c", ASKED, str(ROOT / "docs" / "make_command_line.py")]
    done = subprocess.run(asked, cwd=house, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def _without_data(folder: str, names: list[str]) -> list[str]:
    """What need not be copied: the embedded base, data and registry are large and play no part."""
    unwanted = {"__pycache__"} | ({"base", "data", "registry"} if Path(folder).name == "demo" else set())
    return [name for name in names if name in unwanted]


def test_who_follows_the_list_has_added_a_task(answers: dict[str, object]) -> None:
    assert answers["task"] == "toy"
    assert answers["tasks"] == ["pos", "dp", "nli", "ner", "toy"]
    assert answers["steps"] == [7, 7]
    assert answers["pipeline"] == "token-classification"


def test_who_follows_the_list_has_added_a_setup(answers: dict[str, object]) -> None:
    assert answers["adapters"] == ["en"]
    assert answers["name"] == "toy"
    known, offered = answers["setups"]  # type: ignore[misc]
    assert sorted(known) == sorted(offered)
    assert "toy" in known


def test_who_follows_the_list_has_added_a_family(answers: dict[str, object]) -> None:
    assert answers["base"] == [511, "Toy", True, False]


def test_who_follows_the_list_has_added_a_command(answers: dict[str, object]) -> None:
    assert answers["command"] == "toy\n"
    assert "## toy\n" in str(answers["page"])
