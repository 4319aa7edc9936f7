"""One exchange of ccxt, without the other hundred.

Whoever imports ``ccxt.pro`` runs the modules of all exchanges three times over (plain, asyncio, streaming): most of a
second and half of a daemon's memory, for one class. Here the three packages come as they are, but what their
``__init__`` would fetch at once is fetched when somebody asks for it. The exchange's own modules are ccxt's, unchanged.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("ccxt", "ccxt.async_support", "ccxt.pro")
"""Those whose ``__init__`` fetches every exchange, parents first."""


class _OnDemand(ModuleType):
    """A package whose ``__init__`` is not run: a name is looked for where that would have taken it from."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        errors = importlib.import_module("ccxt.base.errors")
        if hasattr(errors, name):
            return getattr(errors, name)
        if name == "Exchange":
            folder = "ccxt" if self.__name__ == "ccxt" else "ccxt.async_support"
            return importlib.import_module(f"{folder}.base.exchange").Exchange
        try:
            importlib.import_module(f"{self.__name__}.{name}")
        except ModuleNotFoundError as error:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from error
        return self.__dict__[name]

    def __setattr__(self, name: str, value: object) -> None:
        """An exchange's module is known here by its class, as ``from ccxt.pro.okx import okx`` would have it."""
        if isinstance(value, ModuleType):
            value = value.__dict__.get(name, value)
        super().__setattr__(name, value)


def streamed_exchanges() -> list[str]:
    """Names of the exchanges that ccxt streams, sorted.

    Raises:
        ImportError: ccxt is not installed.
    """
    _open_packages()
    folders = sys.modules["ccxt.pro"].__path__
    return sorted(
        path.stem for folder in folders for path in Path(folder).glob("*.py") if path.stem != "__init__"
    )


def exchange_class(name: str) -> type[Any]:
    """The ``ccxt.pro`` class of an exchange that is streamed.

    Raises:
        ImportError: ccxt is not installed, or streams no such exchange.
    """
    _open_packages()
    importlib.import_module(f"ccxt.pro.{name}")
    found: type[Any] = getattr(sys.modules["ccxt.pro"], name)
    return found


def _open_packages() -> None:
    """Put the packages in place; whichever somebody imported whole before stays as it is."""
    for name in PACKAGES:
        if name in sys.modules:
            continue
        spec = _spec(name)
        package = _OnDemand(name, None)
        package.__spec__, package.__loader__ = spec, spec.loader
        package.__path__ = list(spec.submodule_search_locations or ())
        package.__file__, package.__package__ = spec.origin, name
        sys.modules[name] = package
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, package)


def _spec(name: str) -> ModuleSpec:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return spec
