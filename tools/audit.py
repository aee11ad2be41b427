"""Looks for known vulnerabilities in the pinned dependencies: pip-audit over constraints.txt.

pip-audit ends well when its service answers but knows none of the packages, as behind a mirror. So a version with known
vulnerabilities is asked for first. Where nothing is said against it, the data cannot be reached from here: one line
says so, and the audit is left out with exit status 0.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KNOWN_BAD = "jinja2==2.4.1"
SECONDS = 5
PIP_AUDIT = (sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off")


def main() -> int:
    """The exit status: that of pip-audit, or 0 where its data cannot be reached."""
    if not data_is_reached():
        print(f"audit: left out, as no advisories can be reached from here ({KNOWN_BAD} has some).")
        return 0
    return subprocess.run([*PIP_AUDIT, "-r", str(ROOT / "constraints.txt")]).returncode


def data_is_reached() -> bool:
    """Whether the service knows the vulnerabilities of `KNOWN_BAD`, asked for `SECONDS` at most."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(KNOWN_BAD, encoding="utf-8")
        command = [*PIP_AUDIT, "--timeout", str(SECONDS), "--format", "json", "-r", str(requirements)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return False
    return known_vulnerabilities(done.stdout) > 0


def known_vulnerabilities(report: str) -> int:
    """How many a JSON report of pip-audit counts; 0 for anything that is no report."""
    try:
        dependencies = json.loads(report)["dependencies"]
    except (ValueError, LookupError, TypeError):
        return 0
    return sum(len(dependency.get("vulns", ())) for dependency in dependencies)


if __name__ == "__main__":
    sys.exit(main())
