"""The compiled kernel: the rules of a bar over whole tapes, tens of millions of bars a second, for sweeps.

``KernelTape.of(data).run(parameters)`` trades an input with one set of parameters and gives a ``KernelRun``; its trades
are those of the core to the last digit. What the kernel does not do it refuses with a sentence (``kernel_scope``).
Importing this module needs numba; ConfigError says so where it is not installed.
"""

from __future__ import annotations

from backtests.kernel_books import KernelRun
from backtests.kernel_tape import KernelTape

__all__ = ["KernelRun", "KernelTape"]
