"""The control API of a real daemon is tried with what its description allows, and with what it does not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from schemathesis import openapi
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from tests.security.served_daemon import Served, served_daemon

EXAMPLES = 3
SEED = 20_240_131
CHECKS = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
}
"""Those that say something of an API without resources that are made and deleted; all of schemathesis' run."""


class Findings:
    """What came of all requests.

    Attributes:
        answers: How often each operation answered with each status.
        checks: How often each check looked.
        faults: What failed, in words.
    """

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.checks: Counter[str] = Counter()
        self.faults: list[str] = []

    def take(self, recorder: ScenarioRecorder) -> None:
        """One scenario."""
        for interaction in recorder.interactions.values():
            assert interaction.response is not None, f"{recorder.label}: no answer"
            self.answers[recorder.label, interaction.response.status_code] += 1
        for checks in recorder.checks.values():
            for check in checks:
                self.checks[check.name] += 1
                if check.failure_info is not None:
                    self.faults.append(f"{recorder.label}: {check.name}: {check.failure_info.failure}")


def tried(served: Served, examples: int) -> Findings:
    """What schemathesis finds: its systematic cases, and some random ones of each operation."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "base-url": served.url,
            "auth": {"openapi": {"HTTPBearer": {"bearer": served.token}}},
            "generation": {
                "max-examples": examples,
                "deterministic": True,
                "no-shrink": True,
                "database": "none",
            },
        }
    )
    found = Findings()
    schema = openapi.from_url(f"{served.url}/openapi.json", config=config)
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            found.take(event.recorder)
        elif isinstance(event, (events.NonFatalError, events.FatalError)):
            found.faults.append(repr(vars(event)))
    return found


@pytest.mark.slow
def test_whatever_is_sent_is_answered_as_described(tmp_path: Path) -> None:
    """Right and wrong requests of every operation: no fault of ours, no undescribed answer, nothing without the token."""
    with served_daemon(tmp_path) as served:
        document: dict[str, Any] = openapi.from_url(f"{served.url}/openapi.json").raw_schema
        found = tried(served, EXAMPLES)
    assert found.faults == []
    assert set(found.checks) >= CHECKS
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            label = f"{method.upper()} {path}"
            assert found.answers[label, 200] > 0, label
            assert found.answers[label, 405] > 0, label
            assert found.answers[label, 500] == 0, label
            if "security" in operation:
                assert found.answers[label, 401] > 0, label
            if "422" in operation["responses"]:
                assert found.answers[label, 422] > 0, label
    log = served.one.text.getvalue().decode()
    assert '"control.request_failed"' not in log
    assert served.token not in log
