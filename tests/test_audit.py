"""tools/audit.py tells an audit that found nothing from one that could not look."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "audit.py"
REFUSED = '{"dependencies": [{"name": "jinja2", "skip_reason": "Dependency not found"}], "fixes": []}'
ANSWERED = '{"dependencies": [{"name": "jinja2", "vulns": [{"id": "A"}, {"id": "B"}]}], "fixes": []}'
FAKE = """import sys
arguments = sys.argv
canary = "--format" in arguments
print({canary!r} if canary else "audited " + arguments[arguments.index("-r") + 1])
sys.exit(0 if canary else 1)
"""


@pytest.fixture
def audit() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize(("report", "count"), [(REFUSED, 0), (ANSWERED, 2), ("", 0), ("[]", 0), ("{}", 0)])
def test_vulnerabilities_are_counted(audit: dict[str, Any], report: str, count: int) -> None:
    assert audit["known_vulnerabilities"](report) == count


@pytest.mark.parametrize(
    ("canary", "status", "said"),
    [(REFUSED, 0, "audit: left out"), (ANSWERED, 1, "audited")],
    ids=["refused", "answered"],
)
def test_the_status_is_that_of_an_audit_with_data(
    audit: dict[str, Any],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    canary: str,
    status: int,
    said: str,
) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text(FAKE.format(canary=canary), encoding="utf-8")
    main = audit["main"]
    main.__globals__["PIP_AUDIT"] = (sys.executable, str(fake))
    assert main() == status
    assert capfd.readouterr().out.startswith(said)
