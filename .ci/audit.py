"""Asks OSV for known holes in the dependencies that constraints.txt pins: the last step of `make lint`.

Without a network it says that the audit was skipped, and ends well. PyPI's own list would do, but a mirror of PyPI
often leaves it out, and then every package looks sound. Options go to pip-audit, such as `--osv-url URL`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

PINNED: Final = Path(__file__).parents[1] / "constraints.txt"
IGNORED: Final[dict[str, str]] = {}
"""Ids of holes that cannot be reached in this project, each with the reason."""
ABSENT: Final = (
    "requests.exceptions.",
    "pip_audit._service.interface.ServiceError",
    "ERROR:pip_audit._cli:Tip: your net",
)
"""How pip-audit's last line begins when OSV was not reached, or did not answer as it should."""


def main() -> int:
    """Return the exit code: 1 for a known hole, and for an audit that failed for want of anything but OSV."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(PINNED), "--no-deps", "--disable-pip"]
        options = ["--vulnerability-service", "osv", "--progress-spinner", "off", "--format", "json", "--desc", "off"]
        ignored = [word for hole in IGNORED for word in ("--ignore-vuln", hole)]
        done = subprocess.run(
            [*command, *options, *ignored, "--output", str(report), *sys.argv[1:]],
            capture_output=True,
            text=True,
            check=False,
        )
        found: list[dict[str, Any]] = json.loads(report.read_text())["dependencies"] if report.exists() else []
    if not found:
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        if reason.startswith(ABSENT):
            print(f"The audit of dependencies was skipped, since OSV does not answer: {reason[:150]}")
            return 0
        print(f"The audit of dependencies failed:\n{done.stderr}", file=sys.stderr)
        return 1
    holes = [(each, hole) for each in found for hole in each.get("vulns", [])]
    for package, hole in holes:
        mended = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}", file=sys.stderr)
    if holes:
        print(
            "Raise these versions in constraints.txt (and in pyproject.toml where it names a limit) and run make test. "
            "A hole that cannot be reached here goes into IGNORED of .ci/audit.py, with the reason.",
            file=sys.stderr,
        )
        return 1
    passed = [each for each in found if "vulns" in each]
    print(f"No known hole in {len(passed)} pinned dependencies.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
