"""The count of what was tried, at the end of the tests."""

from __future__ import annotations

from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line a kind and one for all."""
    rows, through_hub = _values(terminalreporter, "hostile"), _values(terminalreporter, "hostile through the Hub")
    for row in rows:
        terminalreporter.write_line("  {}: {} artefacts, {} commands, {} refused, {} known".format(*row))
    if rows:
        artefacts, commands, refused, known = (sum(column) for column in list(zip(*rows, strict=True))[1:])
        terminalreporter.write_line(
            f"hostile: {artefacts:,} artefacts, {commands:,} commands, {refused:,} artefacts refused by one or more, "
            f"{known:,} known to get through"
        )
    if through_hub:
        artefacts, commands, refused = (sum(column) for column in zip(*through_hub, strict=True))
        terminalreporter.write_line(
            f"hostile through the Hub: {artefacts:,} artefacts, {commands:,} commands, "
            f"{refused:,} artefacts refused by one or more"
        )


def _values(terminalreporter: pytest.TerminalReporter, wanted: str) -> list[Any]:
    """What tests recorded under that name."""
    return [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == wanted and report.when == "call"
    ]
