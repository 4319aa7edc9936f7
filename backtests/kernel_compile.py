"""Compiling plain Python functions with numba: our own, and pure ones of the core from the outside.

The machine code is kept in the user's cache folder, under a name that is the hash of every source it was made from.
numba's own cache would only notice a change of the one file that holds the entry point, and would go on with the old
rules after a change of any other. Where nothing can be written, each process compiles anew.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, cast

from backtests.kernel_scope import check_numba

check_numba()
import numba  # noqa: E402  # after a clear sentence where it is absent
from numba.core import cgutils  # noqa: E402
from numba.extending import intrinsic  # noqa: E402
from numba.misc.appdirs import AppDirs  # noqa: E402

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")

_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False}
"""Divisions are not checked for zero (the core's rules never divide by it) and no operation may be reordered."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """A plain function of numbers and arrays, to be called by other compiled ones."""
    return cast("Callable[P, R]", numba.njit(**_OPTIONS)(function))


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """As ``compiled``, for what runs on every bar: it becomes a part of its caller, and no call is left."""
    return cast("Callable[P, R]", numba.njit(forceinline=True, **_OPTIONS)(function))


def from_core(function: Callable[P, R], **replaced: object) -> Callable[P, R]:
    """A pure function of the core, compiled as it stands: one source for a rule.

    Args:
        function: Of scalars, or of anything whose attributes are scalars.
        replaced: Names that it uses which numba has not, or not exactly, such as ``round``; their stand-ins.
    """
    source = cast("FunctionType", inspect.unwrap(function))
    names = {**source.__globals__, **replaced}
    copy = FunctionType(source.__code__, names, source.__name__, source.__defaults__, source.__closure__)
    return cast("Callable[P, R]", numba.njit(**_OPTIONS)(copy))


def entry_point(function: Callable[P, R]) -> Callable[P, R]:
    """A compiled function that Python calls; its machine code, with all that it calls, is kept for the next process."""
    dispatcher = numba.njit(**_OPTIONS)(function)
    options: Any = numba.config
    told = options.CACHE_DIR
    options.CACHE_DIR = str(cache_folder(told))
    try:
        dispatcher.enable_caching()
    except (OSError, RuntimeError):  # no folder that can be written: it is compiled in every process
        dispatcher = numba.njit(**_OPTIONS)(function)
    finally:
        options.CACHE_DIR = told
    return cast("Callable[P, R]", dispatcher)


def cache_folder(told: str = "") -> Path:
    """Where machine code is kept: in the folder told by NUMBA_CACHE_DIR, else in the user's cache."""
    folders: Any = AppDirs
    base = told or folders(appname="numba", appauthor=False).user_cache_dir
    return Path(base) / f"kernel-{sources_hash()}"


def _borrowed(_: Any, array: Any) -> Any:
    """The same array without its count of references, for the length of a call: the caller keeps it alive.

    Passing an array from one compiled function to another counts it up and down, which in a loop over bars takes ten
    times as long as the rules.
    """
    llvm: Any = cgutils

    def view(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        made = context.make_array(array)(context, builder, value=arguments[0])
        made.meminfo = llvm.get_null_value(made.meminfo.type)
        made.parent = llvm.get_null_value(made.parent.type)
        return made._getvalue()  # noqa: SLF001  # numba's name for it

    return array(array), view


borrowed = cast("Callable[[A], A]", intrinsic(_borrowed))


def sources_hash() -> str:
    """Of every source that may be compiled: the kernel's modules, the core and the strategies."""
    root = Path(__file__).resolve().parents[1]
    files = [*(root / "backtests").glob("kernel*.py"), *(root / "bot" / "core").glob("*.py")]
    files += (root / "strategies").glob("*.py")
    digest = hashlib.sha256(f"{sys.version} {numba.__version__}".encode())
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
