"""Functions of the core are compiled as they stand, and machine code is kept for just these sources."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("numba")

import numba

from backtests.kernel_compile import cache_folder, compiled, entry_point, from_core, sources_hash
from backtests.kernel_numbers import exact_round
from bot.core.position import held_after

OFFSET = 1.0


def shifted(number: float) -> float:
    """Uses a name of its module."""
    return number + OFFSET


def test_a_function_of_the_core_is_compiled_with_an_exact_round() -> None:
    """The core's own ``held_after``, not a copy of it, gives the core's floats."""
    ours = from_core(held_after, round=exact_round)
    for held, signed in ((0.3, -0.1), (0.1, 0.2), (1234.5678, -1234.5678), (20_000.1, -20_000.099999999999)):
        assert ours(held, signed) == held_after(held, signed)


def test_names_can_be_replaced_without_touching_the_source() -> None:
    """What is replaced is so in the compiled function alone."""
    assert from_core(shifted, OFFSET=5.0)(1.0) == 6.0
    assert shifted(1.0) == 2.0


def test_machine_code_is_kept_under_the_hash_of_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed source of the core leads to another folder, and so to a fresh compilation."""
    before = cache_folder(str(tmp_path))
    assert before.parent == tmp_path
    assert cache_folder(str(tmp_path)) == before
    read = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: read(path) + (b"#" if path.name == "position.py" else b"")
    )
    assert cache_folder(str(tmp_path)) != before
    assert sources_hash() != before.name.removeprefix("kernel-")


def test_what_was_compiled_is_found_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second compilation of the same sources reads the folder that the first one filled."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert entry_point(shifted)(1.0) == 2.0
    kept = list(tmp_path.rglob("*.nbc"))
    assert len(kept) == 1
    assert kept[0].is_relative_to(cache_folder(str(tmp_path)))
    again = entry_point(shifted)
    assert again(1.0) == 2.0
    assert sum(again.stats.cache_hits.values()) == 1  # type: ignore[attr-defined]  # numba's dispatcher


def test_without_a_folder_to_write_it_still_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """An install whose user may write nowhere compiles in every process."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "/proc/nowhere")
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    assert entry_point(shifted)(1.0) == 2.0


def test_compiled_functions_call_each_other() -> None:
    """One compiled function is a part of another."""
    inner = compiled(shifted)

    @compiled
    def outer(number: float) -> float:
        return inner(number) * 2

    assert outer(1.0) == 4.0
