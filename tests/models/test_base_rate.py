"""The base rate of a stored model."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import ModelError
from models.base_rate import FILE_NAME, stored_base_rate
from models.baselines import FILE_NAME as BASELINES_FILE


def test_it_is_the_one_in_the_baselines(tmp_path: Path) -> None:
    """What training writes is read back without the library that fits it; a model without has none."""
    assert FILE_NAME == BASELINES_FILE
    assert stored_base_rate(tmp_path) is None
    (tmp_path / FILE_NAME).write_text('{"base_rate": 0.4921875, "weights": [1.0]}')
    assert stored_base_rate(tmp_path) == 0.4921875


@pytest.mark.parametrize("content", ["{", "{}", '{"base_rate": "x"}', '{"base_rate": 1.0}', "[]"])
def test_what_is_no_base_rate_is_refused(tmp_path: Path, content: str) -> None:
    """A damaged file is named."""
    (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(ModelError, match="baselines"):
        stored_base_rate(tmp_path)
