"""The text of a unit, word for word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.unit_files import command_line, is_as_written, lone_path, quoted, rendered, signed
from bot.errors import ConfigError

TEMPLATE = """# Of the template, not of a machine.

[Unit]
Description=One

[Service]
# Why it is started so.
ExecStart=/bin/one
# Two lines of one key.
LoadCredential=a:b
LoadCredential=c:d
Nice=1

[Install]
WantedBy=multi-user.target
"""


def words_of(line: str, *, program: bool) -> list[str]:
    """A command line as systemd reads it: quotes and backslashes, then %, then $ of all words but the program's path."""
    words: list[str] = []
    rest = line
    while rest := rest.lstrip(" "):
        word = ""
        if rest.startswith('"'):
            place = 1
            while rest[place] != '"':
                place += rest[place] == "\\"
                word += rest[place]
                place += 1
            rest = rest[place + 1 :]
        else:
            word, _, rest = rest.partition(" ")
        word = word.replace("%%", "%")
        words.append(word if program and not words else word.replace("$$", "$"))
    return words


SAYABLE = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs", "Cc"]))


@given(st.lists(SAYABLE, max_size=5))
def test_every_word_comes_out_as_it_went_in(words: list[str]) -> None:
    """Blanks, quotes, backslashes, %, $ and empty words included."""
    assert words_of(command_line("/opt/a b/python%1", words), program=True) == ["/opt/a b/python%1", *words]


@pytest.mark.parametrize("word", ["a\nb", "a\x00b", "a\x7fb"])
def test_what_a_line_cannot_hold_is_refused(word: str) -> None:
    """A line break would begin another setting."""
    with pytest.raises(ConfigError, match="control character"):
        quoted(word)


def test_a_program_with_a_dollar_in_its_path_is_refused() -> None:
    """In words systemd replaces $$, and not in the path of the program: it cannot be said."""
    with pytest.raises(ConfigError, match="no \\$"):
        command_line("/opt/$x/python", [])


def test_a_folder_that_systemd_would_cut_is_refused() -> None:
    """WorkingDirectory= takes the rest of the line, without the blanks around it."""
    from pathlib import Path

    assert lone_path(Path("/srv/my state%")) == "/srv/my state%%"
    for text in ("/srv/x ", "/srv/x\\"):
        with pytest.raises(ConfigError, match="no such folder"):
            lone_path(Path(text))


def test_values_are_replaced_taken_out_and_added_where_they_belong() -> None:
    """A comment goes with the key that it is about; what is new is of [Service]."""
    text = rendered(
        TEMPLATE,
        {
            "ExecStart": ["/bin/two"],
            "LoadCredential": [],
            "WantedBy": ["default.target"],
            "ReadWritePaths": ["/a", "/b"],
        },
    )
    assert text == (
        "[Unit]\nDescription=One\n\n[Service]\n# Why it is started so.\nExecStart=/bin/two\nNice=1\n"
        "ReadWritePaths=/a\nReadWritePaths=/b\n\n[Install]\nWantedBy=default.target\n"
    )


def test_a_repeated_key_is_replaced_once() -> None:
    """Both of its lines give way to the new ones."""
    text = rendered(TEMPLATE, {"LoadCredential": ["e:f"]})
    assert text.count("LoadCredential=") == 1
    assert "# Two lines of one key.\nLoadCredential=e:f\nNice=1" in text


def test_a_change_by_hand_is_seen() -> None:
    """One letter is enough; what we wrote ourselves, in whatever version, is not taken for one."""
    text = signed(rendered(TEMPLATE, {}))
    assert is_as_written(text)
    assert not is_as_written(text.replace("Nice=1", "Nice=2"))
    assert not is_as_written(TEMPLATE)
    assert not is_as_written("")
