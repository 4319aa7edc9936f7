"""The Dockerfile says what docs/docker.md promises, and a strict reader finds nothing wrong with it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.dockerfile_steps import (
    Workshop,
    base_python,
    environment_of,
    exec_words,
    ignored,
    last_of,
    lineage,
    pairs,
    read_dockerfile,
)

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
BEFORE, STAGES = read_dockerfile(TEXT)
IMAGES = ("runtime", "trainer")
PATTERNS = [
    line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
]
PINNED = "python:3.11-slim-bookworm@sha256:" + "0" * 64


def test_a_strict_reader_finds_nothing() -> None:
    """hadolint, with every rule but the one that the file names with its reason, is silent."""
    reader = Path(sys.executable).parent / "hadolint"
    if not reader.exists():
        pytest.skip("hadolint is not installed: make setup")
    done = subprocess.run(
        [reader, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_strict_reader_is_strict(tmp_path: Path) -> None:
    """The same reader refuses a file that is careless, so its silence says something."""
    reader = Path(sys.executable).parent / "hadolint"
    if not reader.exists():
        pytest.skip("hadolint is not installed: make setup")
    careless = tmp_path / "Dockerfile"
    careless.write_text("FROM python:latest\nRUN pip install ccxt && cd /tmp\n")
    done = subprocess.run([reader, careless], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert {"DL3007", "DL3013"} <= set(re.findall(r"DL\d+", done.stdout))


def test_the_base_has_no_default_and_every_stage_stands_on_it() -> None:
    """The one image from outside is PYTHON_IMAGE, an argument without a default; all else is ours."""
    assert [(step.keyword, step.rest) for step in BEFORE] == [("ARG", "PYTHON_IMAGE")]
    outside = {stage.base for stage in STAGES.values()} - set(STAGES)
    assert outside == {"${PYTHON_IMAGE}"}
    for stage in STAGES.values():
        copied = {source for rest in stage.all_of("COPY") for source in re.findall(r"--from=(\S+)", rest)}
        assert copied <= set(STAGES), stage.name
    assert not any(stage.all_of("ADD") for stage in STAGES.values())


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_runs_as_nobody_special_and_ends_in_order(name: str) -> None:
    """Numeric user that is not root, one volume, exec form (so that SIGTERM reaches the bot), health by progress."""
    user = last_of(STAGES, name, "USER")
    assert user == "${BOT_UID}:${BOT_UID}"
    arguments = [rest for stage in lineage(STAGES, name) for rest in stage.all_of("ARG")]
    assert "BOT_UID=10001" in arguments
    assert exec_words(str(last_of(STAGES, name, "ENTRYPOINT"))) == ["bot"]
    assert exec_words(str(last_of(STAGES, name, "VOLUME"))) == ["/var/lib/bot"]
    assert last_of(STAGES, name, "STOPSIGNAL") == "SIGTERM"
    health = str(last_of(STAGES, name, "HEALTHCHECK"))
    assert exec_words(health.partition(" CMD ")[2]) == ["bot", "healthcheck"]


@pytest.mark.parametrize("name", IMAGES)
def test_a_read_only_root_is_no_hindrance(name: str) -> None:
    """Whatever is written at run time goes to /tmp or to the volume, and no bytecode is written."""
    made = environment_of(STAGES, name)
    assert made["PYTHONDONTWRITEBYTECODE"] == "1"
    assert made["BOT_STATE_DIR"] == "/var/lib/bot"
    for variable in ("HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        assert made[variable].startswith("/tmp")
    assert made["PATH"].split(":")[0] == "/opt/bot/bin"


def test_the_label_has_the_version_of_the_project() -> None:
    """VERSION's default is the project's, and the labels are those of OCI."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    arguments = STAGES["service"].all_of("ARG")
    assert f"VERSION={project['version']}" in arguments
    labels = pairs(STAGES["service"].all_of("LABEL")[0])
    assert labels["org.opencontainers.image.title"] == project["name"]
    assert labels["org.opencontainers.image.licenses"] == project["license"]
    assert labels["org.opencontainers.image.base.name"] == "${PYTHON_IMAGE}"


def test_only_the_trainer_has_tensorflow() -> None:
    """The lock of each image decides, every package of it by hash."""
    for name, lock, has in (("runtime", "runtime.lock", False), ("trainer", "train.lock", True)):
        copied = [
            rest for rest in STAGES[f"{name}-packages"].all_of("COPY") if rest.startswith("requirements/")
        ]
        assert copied == [f"requirements/{lock} requirements/"]
        assert f"--from={name}-packages /opt/bot /opt/bot" in STAGES[name].all_of("COPY")
        pinned = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements" / lock).read_text(), re.MULTILINE)
        assert any(re.match(r"tensorflow|keras", one) for one in pinned) is has
    installs = [
        rest
        for stage in STAGES.values()
        for rest in stage.all_of("RUN")
        if re.search(r"(pip|apt-get) install", rest)
    ]
    for install in installs:
        lists = ("apt-get install", "--no-deps --no-index", "--require-hashes")
        assert any(word in install for word in lists), install


def test_what_builds_us_is_what_the_development_lock_pins() -> None:
    """requirements/build.lock holds setuptools with the version and hashes of dev.lock."""
    build = (ROOT / "requirements" / "build.lock").read_text()
    pin = build[build.index("setuptools==") :].strip()
    assert pin in (ROOT / "requirements" / "dev.lock").read_text()


def test_everything_copied_is_in_the_context_and_no_secret_is() -> None:
    """COPY's sources pass .dockerignore; state, secrets, history and virtual environments do not."""
    sources = [
        source
        for stage in STAGES.values()
        for rest in stage.all_of("COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not ignored(source, PATTERNS), source
    for path in (
        ".env",
        "secrets/bot/exchange_api_key",
        "var/journal.sqlite",
        ".git/config",
        ".venv/bin/python",
        "bot/__pycache__/clock.cpython-311.pyc",
        "tests/conftest.py",
    ):
        assert ignored(path, PATTERNS), path


@pytest.mark.parametrize(
    ("path", "out"),
    [("a/b.txt", True), ("kept/b.txt", False), ("kept/deep/x.pyc", True), ("kept/x.pyc", True), ("x", True)],
)
def test_ignoring_follows_the_last_pattern_that_fits(path: str, out: bool) -> None:
    """Exceptions come back with ``!``, and ``**/`` reaches every depth."""
    assert ignored(path, ["*", "!kept", "**/*.pyc"]) is out


@pytest.fixture(name="shop")
def _shop(request: pytest.FixtureRequest) -> Iterator[Workshop]:
    """A workshop in a folder that the ordinary user can reach; those of tmp_path are private."""
    python = base_python()
    if python is None:
        pytest.skip("no interpreter that an ordinary user may run")
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        arguments = {"PYTHON_IMAGE": getattr(request, "param", PINNED)}
        shop = Workshop(Path(folder), ROOT, TEXT, arguments, python)
        shop.arguments["BOT_UID"] = str(shop.uid)
        yield shop


def test_an_ordinary_user_can_make_what_both_images_share(shop: Workshop) -> None:
    """The steps of ``service`` run; the state folder is the bot's alone, and nothing else is made."""
    made = shop.carry_out("service")
    state = (made / "var/lib/bot").stat()
    assert (state.st_mode & 0o777, state.st_uid) == (0o700, shop.uid)
    assert (made / "srv/bot").is_dir()
    assert not (made / "opt/bot").exists()


@pytest.mark.parametrize("shop", ["python:3.11-slim-bookworm"], indirect=True)
def test_a_base_without_a_digest_is_refused_with_the_way_out(shop: Workshop) -> None:
    """The first step fails, and says what to do."""
    with pytest.raises(AssertionError, match="make image-pin finds it"):
        shop.carry_out("base")
