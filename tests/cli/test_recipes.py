from __future__ import annotations

from pathlib import Path

from badx_hub.recipes import load_recipe, preset_names
from tests.cli.conftest import Run


def test_every_preset_is_listed_with_its_figures(run: Run) -> None:
    table = run("recipes").out
    assert max(map(len, table.splitlines())) <= 80
    assert all(name in table for name in preset_names())
    assert "50,000" in table
    assert run("recipes", "--format", "quiet").out.split() == list(preset_names())


def test_printed_yaml_is_a_recipe(run: Run, tmp_path: Path) -> None:
    for name in preset_names():
        file = tmp_path / f"my-{name}.yaml"
        file.write_text(run("recipes", name).out, encoding="utf-8")
        assert load_recipe(str(file)) == load_recipe(name)


def test_json_of_one_and_of_all(run: Run) -> None:
    assert run("recipes", "paper", "--format", "json").json["language"]["steps"] == 50_000
    assert [recipe["name"] for recipe in run("recipes", "--format", "json").json] == list(preset_names())


def test_unknown_preset(run: Run) -> None:
    result = run("recipes", "papre")
    assert result.code == 2
    assert "paper" in result.err
