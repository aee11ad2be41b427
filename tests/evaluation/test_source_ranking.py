"""Which source suits a target, told without training."""

from __future__ import annotations

from pathlib import Path

import pytest

from badx_hub.errors import DataError, UsageError
from badx_hub.evaluation.source_ranking import rank_sources
from tests.refusals import refused
from tests.tiny import demo_lines


@pytest.fixture
def text(tmp_path: Path) -> dict[str, Path]:
    """Fula, for the test, is written as Wolof is."""
    wolof = demo_lines("wo", 120)
    files = {"en": demo_lines("en", 60), "wo": wolof[:60], "ff": wolof[60:]}
    for language, lines in files.items():
        (tmp_path / f"{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    return {language: tmp_path / f"{language}.txt" for language in files}


def test_sentences_vote_for_the_language_that_is_written_alike(tiny_base: Path, text: dict[str, Path]) -> None:
    first, second = rank_sources("ff", text, base=str(tiny_base), sentences=40)
    assert (first.language, first.by_text, second.language, second.by_text) == ("wo", 1, "en", 2)
    assert first.votes is not None and second.votes is not None
    assert first.votes > 0.55, "the base is random: only the words speak"
    assert first.votes + second.votes == pytest.approx(1)
    assert first.rank == (first.by_typology + 1) / 2
    assert rank_sources("ff", text, base=str(tiny_base), sentences=40) == (first, second)


def test_without_text_typology_ranks_alone_and_equals_share_a_rank() -> None:
    rows = {row.language: row for row in rank_sources("da", candidates=["wo", "nb", "Guarani"])}
    assert [rows[one].by_typology for one in ("nb", "wo", "gn")] == [1, 2.5, 2.5]
    assert (rows["nb"].rank, rows["nb"].by_text, rows["nb"].votes) == (1, None, None)


def test_what_cannot_be_ranked_is_refused(tmp_path: Path, text: dict[str, Path]) -> None:
    with refused(UsageError, r"nothing to rank for wo.*--candidates en,fr"):
        rank_sources("wo", {"wo": text["wo"]})
    with refused(UsageError, r"no text of fr.*--text fr=FILE"):
        rank_sources("wo", text, candidates=["en", "ff", "fr"])
    with refused(UsageError, "text of ff is for a language that is not ranked"):
        rank_sources("wo", text, candidates=["en"])
    (tmp_path / "few.txt").write_text("Nanga def sa waa kër\n" * 20, encoding="utf-8")
    with refused(DataError, "has 1 lines of 3 words or more, and 10 are needed"):
        rank_sources("wo", {"wo": tmp_path / "few.txt", "en": text["en"]})
