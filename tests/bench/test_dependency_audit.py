"""The audit of the locks: holes are told, and what was not audited is never called clean."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.dependency_audit import CLEAN, HOLES, NOT_AUDITED, Findings, audit, main, verdict

LOCKS = Path(__file__).resolve().parents[2] / "requirements"
LOCK = f"a==1 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}\nb==2 ; sys_platform == 'x' \\\n    --hash=sha256:{'2' * 64}\n"
GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "b", "skip_reason": "not found"}


def stand_in(folder: Path, *answers: object) -> str:
    """A pip-audit that gives these answers in turn, and keeps what it was asked about."""
    (folder / "lock.txt").write_text(LOCK)
    (folder / "answers.json").write_text(json.dumps(answers))
    program = folder / "pip-audit"
    program.write_text(
        f"""#!{sys.executable} -S
import json, pathlib, sys
folder = pathlib.Path({str(folder)!r})
asked = folder / "asked"
number = len(list(folder.glob("asked*")))
(folder / f"asked{{number}}").write_text(open(sys.argv[2]).read())
answer = json.loads((folder / "answers.json").read_text())[number]
if isinstance(answer, str):
    sys.exit(answer)
print(json.dumps({{"dependencies": answer, "fixes": []}}))
sys.exit(any(one.get("vulns") for one in answer))
"""
    )
    program.chmod(0o755)
    return str(program)


def test_one_package_is_asked_about_before_all(tmp_path: Path) -> None:
    """A service without advisories is found by its first answer, and nothing else is asked."""
    found = audit(tmp_path / "lock.txt", (stand_in(tmp_path, [UNKNOWN]),))
    assert found.fault is not None
    assert "mirror" in found.fault
    assert (tmp_path / "asked0").read_text() == LOCK.partition("b==")[0]
    assert not (tmp_path / "asked1").exists()
    assert verdict({"lock": found})[0] == NOT_AUDITED


def test_holes_are_told_with_what_mends_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, the advisory and the version that mends it."""
    program = stand_in(tmp_path, [GOOD], [GOOD, BAD])
    assert main(["--program", program, str(tmp_path / "lock.txt")]) == HOLES
    assert "b 2: PYSEC-1, mended in 3" in capsys.readouterr().out
    assert (tmp_path / "asked1").read_text() == LOCK


def test_all_known_and_none_with_a_hole_is_clean(tmp_path: Path) -> None:
    """Exit code 0 only then."""
    program = stand_in(tmp_path, [GOOD], [GOOD, {**BAD, "vulns": []}])
    assert main(["--program", program, str(tmp_path / "lock.txt")]) == CLEAN


@pytest.mark.parametrize("answers", [[[GOOD], [GOOD, UNKNOWN]], ["no route to host"], [[GOOD], "cut off"]])
def test_what_was_not_audited_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answers: list[object]
) -> None:
    """A package that the service does not know, or a service that is gone: exit code 3, and said in words."""
    program = stand_in(tmp_path, *answers)
    assert main(["--program", program, str(tmp_path / "lock.txt")]) == NOT_AUDITED
    assert "NOT AUDITED" in capsys.readouterr().out


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    """And so is a lock without a hash."""
    (tmp_path / "lock.txt").write_text(LOCK)
    assert "cannot be started" in str(audit(tmp_path / "lock.txt", (str(tmp_path / "none"),)).fault)
    (tmp_path / "loose.txt").write_text("a>=1\n")
    assert "pins no package" in str(audit(tmp_path / "loose.txt", ("none",)).fault)


def test_a_hole_counts_more_than_a_fault() -> None:
    """Where one lock has a hole and another was not audited, the exit code is that of the hole."""
    assert verdict({"a": Findings(1, ("x",)), "b": Findings(fault="gone")})[0] == HOLES


def test_the_bill_of_materials_lists_what_a_lock_pins(tmp_path: Path) -> None:
    """`make sbom`'s program reads our lock: each package with its version, its hashes and a package URL."""
    out = tmp_path / "sbom.json"
    words = ["requirements", str(LOCKS / "build.lock"), "--pyproject", str(LOCKS.parent / "pyproject.toml")]
    words += ["--output-reproducible", "--output-format", "JSON", "--output-file", str(out)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", *words],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if "No module named" in done.stderr:
        pytest.skip("cyclonedx-bom is not installed: make setup")
    assert done.returncode == 0, done.stderr
    bill = json.loads(out.read_text())
    assert bill["metadata"]["component"]["name"] == "lstm-scalping-bot"
    (part,) = bill["components"]
    assert part["purl"] == f"pkg:pypi/setuptools@{part['version']}"
    found = {one["content"] for reference in part["externalReferences"] for one in reference["hashes"]}
    assert found == set(re.findall(r"sha256:(\w+)", (LOCKS / "build.lock").read_text()))
