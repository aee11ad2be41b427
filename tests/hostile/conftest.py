"""The count of what was tried, at the end of the tests."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line a kind and one for all."""
    rows = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "hostile" and report.when == "call"
    ]
    for row in rows:
        terminalreporter.write_line("  {}: {} artefacts, {} commands, {} refused, {} known".format(*row))
    if rows:
        artefacts, commands, refused, known = (sum(column) for column in list(zip(*rows, strict=True))[1:])
        terminalreporter.write_line(
            f"hostile: {artefacts:,} artefacts, {commands:,} commands, {refused:,} artefacts refused by one or more, "
            f"{known:,} known to get through"
        )
