"""One headless Chromium for all browser tests of the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboard.page_browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium; of a module alone, since its loop would stand in the way of other tests' loops."""
    with chromium() as started:
        yield started
