"""The files of a sweep's folder: ``sweep.json``, ``points.parquet``, ``sweep.html`` and, with matplotlib, ``heatmap.png``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from backtests.report_picture import picture_is_possible
from backtests.sweep_findings import Findings
from backtests.sweep_page import sweep_page
from backtests.sweep_picture import sweep_picture
from backtests.sweep_report import point_columns
from models.durable import disk, replace_file
from models.predictions_table import parquet_bytes


def write_files(folder: Path, document: Mapping[str, Any], findings: Findings) -> None:
    """Write all of them, each in one step.

    Raises:
        StorageError: The disk refused; what was there is as it was.
    """
    files = {
        "points.parquet": parquet_bytes(pa.table(point_columns(findings))),
        "sweep.html": sweep_page(document, findings).encode(),
    }
    if picture_is_possible():
        files["heatmap.png"] = sweep_picture(document, findings)
    files["sweep.json"] = json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"
    for name, content in files.items():
        with disk(folder / name):
            replace_file(folder / name, content)
