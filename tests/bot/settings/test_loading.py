"""Settings put together: who wins, who is named, and one sentence for whatever is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.core.matching import Costs
from bot.core.risk import RiskLimits
from bot.core.sizing import SizingRule
from bot.core.skill_watch import WatchRules
from bot.errors import ConfigError
from bot.redaction import forget_secrets, without_secrets
from bot.settings import Settings, load_settings, load_with_sources

KEYS = {"BOT__EXCHANGE__API_KEY": "k3y", "BOT__EXCHANGE__API_SECRET": "s3cret"}


def private(file: Path, text: str, mode: int = 0o600) -> Path:
    """A file that only its owner can read."""
    file.write_text(text)
    file.chmod(mode)
    return file


def sentence(files: Any = None, overrides: Any = None, **environ: Any) -> str:
    """The one sentence that these settings are refused with."""
    with pytest.raises(ConfigError) as caught:
        load_settings(files or [], overrides, environ)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.fixture
def write(tmp_path):
    """Write a YAML file and return its path."""

    def to_file(text: str, name: str = "mine.yaml") -> Path:
        file: Path = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return to_file


def test_the_packaged_defaults_are_the_defaults_of_the_model():
    """config/default.yaml and the model say the same, so neither can drift from the other."""
    assert load_settings([], {}, {}) == Settings()


def test_the_default_file_names_every_field_but_those_that_do_not_belong_in_a_file():
    """A person who copies config/default.yaml sees every setting there is."""
    sources = load_with_sources([], {}, {}).sources
    unnamed = {name for name, source in sources.items() if source == "default"}
    keys = {"exchange.api_key", "exchange.api_secret", "exchange.api_password"}
    assert unnamed == {"state_dir", *keys}


def test_defaults_of_the_core_are_kept():
    """Costs, limits and sizing reach the core as the core's own dataclasses define them."""
    settings = load_settings([], {}, {})
    assert settings.costs.to_core() == Costs()
    assert settings.risk.to_core() == RiskLimits()
    assert settings.sizing.to_core() == SizingRule()
    assert settings.watch.to_core() == WatchRules()


def test_flags_win_over_environment_over_later_files_over_earlier_files_over_defaults(write):
    """Each layer wins over those below it, and only in what it says."""
    first = write("exchange: {id: a, stall_seconds: 11}\naccount: {starting_cash: 1}\n", "first.yaml")
    second = write("exchange: {id: b}\naccount: {starting_cash: 2}\n", "second.yaml")
    loaded = load_with_sources(
        [first, second],
        {"account.starting_cash": 4, "mode": None},
        {"BOT__EXCHANGE__ID": "c", "BOT__ACCOUNT__STARTING_CASH": "3"},
    )
    settings, sources = loaded.settings, loaded.sources
    assert (settings.account.starting_cash, sources["account.starting_cash"]) == (4.0, "flag")
    assert (settings.exchange.id, sources["exchange.id"]) == ("c", "BOT__EXCHANGE__ID")
    assert (settings.exchange.stall_seconds, sources["exchange.stall_seconds"]) == (11.0, f"{first} line 1")
    assert settings.mode == "paper"
    assert sources["mode"].startswith("config/default.yaml line ")
    assert load_settings([second, first], {}, {}).exchange.id == "a"


def test_state_dir_comes_from_the_environment_unless_something_says_otherwise(write):
    """BOT_STATE_DIR moves the default only: a file, BOT__STATE_DIR and a flag all win over it."""
    place = {"BOT_STATE_DIR": "/a"}
    assert load_settings([], {}, {}).state_dir == Path("var")
    assert load_settings([], {}, {"BOT_STATE_DIR": ""}).state_dir == Path("var")
    assert load_with_sources([], {}, place).sources["state_dir"] == "BOT_STATE_DIR"
    assert load_settings([], {}, place).journal_path == Path("/a/journal.sqlite")
    assert load_settings([write("state_dir: /b")], {}, place).models_dir == Path("/b/models")
    assert load_settings([], {}, place | {"BOT__STATE_DIR": "/c"}).candles_dir == Path("/c/candles")
    assert load_settings([], {"state_dir": Path("/d"), "model.root": "/m"}, place).models_dir == Path("/m")


def test_lists_and_mappings_can_be_written_in_one_word():
    """A variable or a flag gives a list by commas or JSON, a mapping by JSON or key by key."""
    both = ("BTC/USDT", "ETH/USDT")
    assert load_settings([], {"exchange.symbols": "BTC/USDT, ETH/USDT"}, {}).exchange.symbols == both
    assert load_settings([], {"exchange.symbols": list(both)}, {}).exchange.symbols == both
    variables = {
        "BOT__EXCHANGE__SYMBOLS": '["BTC/USDT", "ETH/USDT"]',
        "BOT__STRATEGY__PARAMETERS__THRESHOLD": "0.001",
        "BOT__RISK__MAX_SYMBOL_NOTIONAL": "null",
    }
    settings = load_settings([], {}, variables)
    assert settings.exchange.symbols == both
    assert settings.strategy.parameters == {"threshold": "0.001"}
    assert settings.risk.max_symbol_notional is None
    assert load_settings([], {"strategy.parameters": '{"a": 1}'}, {}).strategy.parameters == {"a": 1}
    assert load_settings([], {"risk.max_symbol_notional": "5"}, {}).risk.max_symbol_notional == 5.0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "risk:\n  max_orders_per_minute: -3\n",
            "mine.yaml line 2: risk.max_orders_per_minute: must be at least 1, not -3",
        ),
        (
            "sizing: {equity_fraction: -0.5}",
            "line 1: sizing.equity_fraction: must be greater than 0, not -0.5",
        ),
        (
            "\nsizing:\n  equity_fraktion: 1",
            "line 3: sizing.equity_fraktion: unknown key; did you mean sizing.equity_fraction?",
        ),
        ("sizng: {}", "line 1: sizng: unknown key; did you mean sizing?"),
        ("zzz: 1", "line 1: zzz: unknown key; the settings have mode, state_dir,"),
        ("account: {starting_cash: lots}", "account.starting_cash: must be a number, not 'lots'"),
        ("account: {starting_cash: true}", "account.starting_cash: must be a number, not true or false"),
        ("account: {starting_cash: .nan}", "account.starting_cash: must be a finite number"),
        ("risk: {max_orders_per_minute: 1.5}", "risk.max_orders_per_minute: must be a whole number, not 1.5"),
        ("mode: dry", "mode: must be 'paper' or 'live', not 'dry'"),
        ("exchange: {simulated: maybe}", "exchange.simulated: must be true or false, not 'maybe'"),
        ("exchange: binance", "exchange: must be a section of keys, not 'binance'"),
        ("exchange: {symbols: []}", "exchange.symbols: must not be empty"),
        ("exchange: {symbols: [BTCUSDT]}", "'BTCUSDT' must be a unified name such as"),
        ("exchange: {symbols: ['A/USD:A']}", "settles in A: only linear contracts and spot"),
        ("exchange: {symbols: [A/USDT, A/USDT]}", "'A/USDT' must not be named twice"),
        (
            "exchange: {symbols: [A/EUR]}",
            "line 1: exchange.symbols: A/EUR is paid in EUR, but account.quote is USDT",
        ),
        ("exchange: {connect_to: '8.8.8.8:53'}", "exchange.connect_to: must be an address of this machine"),
        ("exchange: {connect_to: '127.0.0.1'}", "exchange.connect_to: must be an address of this machine"),
        (
            "strategy: {parameters: {a: [1]}}",
            "strategy.parameters: a must be a number, a word, true or false",
        ),
        (
            "risk: {max_orders_per_minute: -1, max_drawdown_fraction: 3}",
            "risk.max_drawdown_fraction: must be at most 1, not 3; ",
        ),
        ("a: [1", "mine.yaml line 1 column 6: malformed YAML: "),
        ("a: 1\n\tb: 2", "line 2 column 1: malformed YAML: "),
        ("mode: paper\nmode: live", "mine.yaml line 2: mode: the key comes twice"),
        ("risk:\n  ? [a]\n  : 1", "line 2: a key must be a word"),
        ("- paper", "mine.yaml: the file must hold sections and keys"),
        ("mode: !!python/object:os.system x", "malformed YAML: could not determine a constructor"),
        ("mode: 2024-13-01", "mine.yaml: malformed YAML: month must be in 1..12"),
        ("a: " + "[" * 5000, "malformed YAML: "),
        ("mode: 'a\x00b'", "malformed YAML: "),
    ],
)
def test_a_wrong_file_is_one_sentence_with_file_field_and_fault(write, text, wanted):
    """Every fault of a file names the file, the line, the field and what is wrong."""
    text = sentence([write(text)])
    assert "mine.yaml" in text
    assert wanted in text


def test_all_faults_are_told_at_once_and_very_many_are_counted(write):
    """Each wrong setting of file and flags is named with its place; of a hundred the first ten, and how many there are."""
    text = sentence([write("mode: dry\nrisk: {max_orders_per_minute: -1}")], {"sizing.equity_fraction": "7"})
    places = (
        "mine.yaml line 1: mode: ",
        "mine.yaml line 2: risk.max_orders",
        "flag sizing.equity_fraction: ",
    )
    assert all(place in text for place in places)
    crowd = sentence([write("\n".join(f"k{number}: 1" for number in range(100)))])
    assert crowd.count("unknown key") == 10
    assert crowd.endswith("; and 90 more")


def test_files_that_cannot_be_read_are_named(tmp_path):
    """A missing file, a folder and bytes that are no text are named."""
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"mode: \xff\xfe")
    assert sentence([tmp_path / "gone.yaml"]).endswith("gone.yaml: cannot be read: No such file or directory")
    assert "Is a directory" in sentence([tmp_path])
    assert sentence([binary]).endswith("binary.yaml: is not UTF-8 text (byte 6); save it as UTF-8")


def test_empty_files_and_empty_sections_say_nothing(write):
    """A file or a section whose lines are all commented out changes nothing."""
    files = [write("# nothing\n", "a.yaml"), write("risk:\n  # max_orders_per_minute: 1\n", "b.yaml")]
    assert load_settings(files, {}, {}) == Settings()


def test_wrong_variables_and_flags_are_named():
    """A fault of the environment names the variable, one of the command line the flag."""
    assert sentence(BOT__RISK__MAX_ORDERS_PER_MINUTE="x") == (
        "BOT__RISK__MAX_ORDERS_PER_MINUTE: risk.max_orders_per_minute: must be a whole number, not 'x'"
    )
    assert "BOT__EXCHANG__ID: exchang: unknown key; did you mean exchange?" in sentence(BOT__EXCHANG__ID="x")
    assert sentence(overrides={"sizing.equity_fraction": "0"}) == (
        "flag sizing.equity_fraction: must be greater than 0, not '0'"
    )
    assert "flag exchange.idd: unknown key; did you mean exchange.id?" in sentence(
        overrides={"exchange.idd": 1}
    )
    assert "has a value itself" in sentence(overrides={"mode": "paper", "mode.x": 1})


def test_live_mode_needs_keys_and_an_honest_market():
    """Mode live is refused without both keys, on a market that is only called simulated, and unproven; else it loads."""
    assert sentence(BOT__MODE="live").startswith("BOT__MODE: exchange.api_key: mode live needs it")
    assert "exchange.api_secret: mode live needs it" in sentence(
        BOT__MODE="live", BOT__EXCHANGE__API_KEY="k", BOT__EXCHANGE__API_SECRET=""
    )
    assert "exchange.simulated" in sentence(BOT__MODE="live", BOT__EXCHANGE__SIMULATED="true", **KEYS)
    assert "exchange.clock" in sentence(BOT__MODE="live", BOT__EXCHANGE__CLOCK="market", **KEYS)
    said = sentence(BOT__MODE="live", BOT__MODEL__UNPROVEN="true", **KEYS)
    assert "model.unproven: mode live never trades an unproven model" in said
    assert load_settings([], {"mode": "live"}, KEYS).mode == "live"
    local = {
        "mode": "live",
        "exchange.simulated": "true",
        "exchange.clock": "market",
        "exchange.connect_to": "127.0.0.1:8443",
    }
    assert load_settings([], local, KEYS).mode == "live"


def test_live_limits_need_leverage_that_can_pay_for_them():
    """More notional than leverage times equity is refused in live mode, and so is any leverage on spot."""
    more = {"mode": "live", "risk.max_total_notional_fraction": 2}
    assert "execution.leverage is 1" in sentence(overrides=more, **KEYS)
    assert load_settings([], {**more, "execution.leverage": 2}, KEYS).execution.leverage == 2
    spot = {**more, "execution.leverage": 5, "exchange.symbols": "BTC/USDT", "exchange.id": "binance"}
    assert "spot has no leverage" in sentence(overrides=spot, **KEYS)
    assert load_settings([], {"risk.max_total_notional_fraction": 2}, {}).mode == "paper"


def test_secrets_come_from_files_and_are_never_shown(tmp_path):
    """A _FILE variable is read, and no representation of the settings shows what was in it."""
    file = private(tmp_path / "key", "hush-hush\n")
    loaded = load_with_sources([], {}, {"BOT__EXCHANGE__API_KEY_FILE": str(file)})
    key = loaded.settings.exchange.api_key
    assert key is not None
    assert key.get_secret_value() == "hush-hush"
    assert loaded.sources["exchange.api_key"] == "BOT__EXCHANGE__API_KEY_FILE"
    shown = f"{loaded!r} {loaded.settings} {loaded.settings.model_dump()} {loaded.settings.model_dump_json()}"
    assert "hush" not in shown


def test_faults_of_secrets_do_not_show_them(tmp_path, write):
    """A secret's file that is missing or empty, a secret given twice or of a wrong type: named, not shown."""
    empty = private(tmp_path / "empty", "\n")
    variable = "BOT__EXCHANGE__API_KEY_FILE"
    assert sentence(**{variable: "/nowhere"}) == (
        f"{variable}: exchange.api_key: cannot read /nowhere: No such file or directory"
    )
    assert sentence(**{variable: str(empty)}).endswith("is empty; write the secret into it")
    assert "keep one" in sentence(**{variable: str(empty), "BOT__EXCHANGE__API_KEY": "hush"})
    open_to_all = write("exchange: {api_key: 123456789}")
    text = sentence([open_to_all])
    assert "123456789" not in text
    assert text.endswith(f"make it private: chmod 600 {open_to_all}")
    open_to_all.chmod(0o600)
    assert sentence([open_to_all]).endswith("exchange.api_key: must be text")


def test_a_file_that_others_can_read_holds_no_secret(tmp_path):
    """Read or write rights of others or of our own group refuse a secret's file, and the sentence says what to do."""
    file = private(tmp_path / "key", "hush-hush")
    variable = "BOT__EXCHANGE__API_SECRET_FILE"
    for mode in (0o604, 0o602, 0o640, 0o620, 0o666):
        file.chmod(mode)
        said = sentence(**{variable: str(file)})
        assert f"(mode {mode:o}); make it private: chmod 600 {file}" in said
        assert "hush" not in said
    for mode in (0o600, 0o400):
        file.chmod(mode)
        assert load_settings([], {}, {variable: str(file)}).exchange.credentials == {"secret": "hush-hush"}


def test_credentials_of_systemd_win_over_files_and_lose_to_the_environment(tmp_path, write):
    """$CREDENTIALS_DIRECTORY/exchange_api_key is the key, unless a variable of ours says another; the source is named."""
    private(tmp_path / "exchange_api_key", "of-systemd", 0o440)
    private(tmp_path / "exchange_api_password", "pass-phrase", 0o440)
    private(tmp_path / "exchange_id", "okx")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    loaded = load_with_sources([], {}, environ)
    given = loaded.settings.exchange.credentials
    assert given == {"apiKey": "of-systemd", "password": "pass-phrase"}
    assert loaded.sources["exchange.api_key"] == "$CREDENTIALS_DIRECTORY/exchange_api_key"
    assert loaded.settings.exchange.id == "binanceusdm"
    file = write("exchange: {api_key: of-a-file}")
    file.chmod(0o600)
    assert load_settings([file], {}, {}).exchange.credentials == {"apiKey": "of-a-file"}
    assert load_settings([file], {}, environ).exchange.credentials["apiKey"] == "of-systemd"
    environ["BOT__EXCHANGE__API_KEY"] = "of-the-environment"
    assert load_settings([file], {}, environ).exchange.credentials["apiKey"] == "of-the-environment"
    (tmp_path / "exchange_api_key").chmod(0o444)
    assert "exchange.api_key" in sentence(**environ)


def test_what_was_read_is_never_shown_again(tmp_path):
    """Every secret that the settings hold is kept out of texts from then on, whole and in parts of several words."""
    pem = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----"
    file = private(tmp_path / "pem", pem)
    load_settings([], {"exchange.api_key": "shown-to-nobody"}, {"BOT__EXCHANGE__API_SECRET_FILE": str(file)})
    try:
        assert without_secrets("x shown-to-nobody hkiG9w0BAQEFAASC y") == "x *** *** y"
    finally:
        forget_secrets()


def test_only_secrets_have_file_variables():
    """A _FILE variable of an ordinary field is an unknown key, and fields that end in file are ordinary."""
    assert "exchange.id_file: unknown key" in sentence(BOT__EXCHANGE__ID_FILE="/etc/hostname")
    settings = load_settings([], {}, {"BOT__EXCHANGE__CA_FILE": "~/ca.pem", "BOT__LOGS__FILE": "x.log"})
    assert settings.exchange.ca_file == Path.home() / "ca.pem"
    assert settings.logs.file == Path("x.log")


def test_settings_do_not_change_and_read_nothing_by_themselves(monkeypatch):
    """A field cannot be assigned, and constructing Settings looks at no environment."""
    monkeypatch.setenv("MODE", "live")
    monkeypatch.setenv("BOT__MODE", "live")
    settings = Settings()
    assert settings.mode == "paper"
    with pytest.raises(ValueError, match="frozen"):
        settings.mode = "live"  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        settings.risk.max_orders_per_minute = 5  # type: ignore[misc]


def test_an_address_is_split():
    """connect_to gives host and port, of IPv6 too; none where it is not set."""
    assert load_settings([], {"exchange.connect_to": "127.0.0.1:8443"}, {}).exchange.address == (
        "127.0.0.1",
        8443,
    )
    assert load_settings([], {"exchange.connect_to": "[::1]:1"}, {}).exchange.address == ("::1", 1)
    assert Settings().exchange.address is None


@given(
    st.dictionaries(
        st.sampled_from([*Settings.model_fields, "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["id", "level", "symbols", "parameters", "a"]), inner, max_size=3
                )
            ),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_any_tree_either_loads_or_is_one_sentence(tmp_path_factory, tree):
    """Whatever YAML a file holds: settings, or a ConfigError of one line that names the file."""
    file = tmp_path_factory.mktemp("any") / "any.yaml"
    file.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    try:
        text = load_settings([file], {}, {}).model_dump_json()
    except ConfigError as error:
        text = json.dumps({"refused": str(error)})
    refused = json.loads(text).get("refused", "any.yaml")
    assert "any.yaml" in refused
    assert "\n" not in refused
