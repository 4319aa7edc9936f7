"""``make audit``: are there known holes in what the locks pin?

pip-audit answers "none" also where its service knew none of the packages, as a mirror without the advisories does. So one
package is asked about first, and whatever was not audited is said, and is no success.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

CLEAN: Final = 0
HOLES: Final = 1
NOT_AUDITED: Final = 3
PATIENCE_SECONDS: Final = 600
_PIN: Final = re.compile(r"^[A-Za-z0-9][^\s;]*==\S+(?:.*\\\n(?:\s+--hash=\S+(?: \\)?\n?)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Findings:
    """What an audit of one file came to.

    Attributes:
        audited_count: Packages that the service knew.
        holes: ``package version: advisory, mended in ...``.
        skipped: Packages that the service did not know.
        fault: Why it could not be done; None where it was.
    """

    audited_count: int = 0
    holes: tuple[str, ...] = field(default=())
    skipped: tuple[str, ...] = field(default=())
    fault: str | None = None


def audit(lock: Path, program: Sequence[str]) -> Findings:
    """Ask about every package of a lock; of one first, so that a service that is not there is found at once.

    Args:
        lock: Requirements with hashes.
        program: pip-audit, and words that come before ours.
    """
    pins = _PIN.findall(lock.read_text(encoding="utf-8"))
    if not pins:
        return Findings(fault=f"{lock} pins no package by hash")
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "one.txt"
        probe.write_text(pins[0].rstrip(" \\\n") + "\n", encoding="utf-8")
        found = _asked(probe, program)
    if found.fault is None and not found.audited_count:
        return Findings(fault="the service knows nothing of the packages: it is a mirror without advisories")
    return found if found.fault is not None else _asked(lock, program)


def verdict(findings: Mapping[str, Findings]) -> tuple[int, list[str]]:
    """The exit code of an audit of some files, and what a person reads."""
    lines: list[str] = []
    for name, one in findings.items():
        if one.fault is not None:
            lines.append(f"{name}: NOT AUDITED: {one.fault}")
            continue
        lines.append(f"{name}: {one.audited_count} packages audited, {len(one.holes)} known holes")
        lines += [f"  {hole}" for hole in one.holes]
        if one.skipped:
            lines.append(f"  NOT AUDITED, the service does not know them: {', '.join(one.skipped)}")
    if any(one.holes for one in findings.values()):
        return HOLES, lines
    done = all(one.fault is None and not one.skipped for one in findings.values())
    return (CLEAN if done else NOT_AUDITED), lines


def _asked(file: Path, program: Sequence[str]) -> Findings:
    """Run pip-audit on a file."""
    words = [*program, "--requirement", str(file), "--disable-pip", "--require-hashes"]
    words += ["--progress-spinner", "off", "--format", "json"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Findings(fault=f"the service did not answer within {PATIENCE_SECONDS} seconds")
    except OSError as error:
        return Findings(fault=f"{program[0]} cannot be started: {error.strerror}")
    try:
        said = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip() or "without a word").splitlines()[-1]
        return Findings(fault=f"pip-audit could not reach its service or failed ({last})")
    return _read(said)


def _read(dependencies: Iterable[Mapping[str, Any]]) -> Findings:
    """Sort what pip-audit said of each package."""
    holes: list[str] = []
    skipped: list[str] = []
    audited_count = 0
    for one in dependencies:
        if "skip_reason" in one:
            skipped.append(str(one["name"]))
            continue
        audited_count += 1
        for hole in one.get("vulns", ()):
            mended = ", ".join(hole.get("fix_versions", ())) or "no version yet"
            holes.append(f"{one['name']} {one['version']}: {hole['id']}, mended in {mended}")
    return Findings(audited_count, tuple(holes), tuple(skipped))


def main(words: Sequence[str] | None = None) -> int:
    """Audit the locks that are named; exit code 0 none, 1 holes, 3 something could not be audited."""
    parser = argparse.ArgumentParser(description="Known holes in what the locks pin.")
    parser.add_argument("locks", nargs="+", type=Path, metavar="LOCK")
    parser.add_argument("--program", default=str(Path(sys.executable).parent / "pip-audit"), help="pip-audit")
    given = parser.parse_args(words)
    code, lines = verdict({str(lock): audit(lock, (given.program,)) for lock in given.locks})
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
