"""The line of a key in a TOML text, by a text whose lines are known."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.config.lines import line_of

TEXT = '''\
# A comment, and an empty line.

[models.fast]
protocol = "openai"
base_url = """\\
  https://host\\
  /v1"""
fallbacks = [
  "slow",  # [models.slow]
  "other",
]
price = { input = 1, output = 2 }
limits.longest_wait = 3

  [models."a.b"]
  'quoted key' = "x = 1"

[[many]]
first = 1
[[many]]
second = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("models",), 3),
        (("models", "fast"), 3),
        (("models", "fast", "protocol"), 4),
        (("models", "fast", "base_url"), 5),
        (("models", "fast", "fallbacks"), 8),
        (("models", "fast", "price"), 12),
        (("models", "fast", "price", "output"), 12),
        (("models", "fast", "price", "nothing"), 12),
        (("models", "fast", "limits", "longest_wait"), 13),
        (("models", "fast", "nothing"), 3),
        (("models", "a.b"), 15),
        (("models", "a.b", "quoted key"), 16),
        (("models", "a"), 3),
        (("many",), 18),
        (("many", "second"), 21),
        (("nowhere",), 1),
    ],
)
def test_a_key_has_the_line_on_which_its_statement_begins(
    path: tuple[str, ...], line: int
) -> None:
    assert line_of(TEXT, path) == line


def test_a_line_ends_where_toml_says_and_nowhere_else() -> None:
    text = 'a = "one\u2028line"\r\n# \u0085 the same line\r\nb = 1\r\n'
    assert tomllib.loads(text)["b"] == 1
    assert line_of(text, ("b",)) == 3


VALUES = (
    "1",
    '"# no comment"',
    "'''\n[no.header]\nx = 1\n'''",
    '"""\n\\"""\n"""',
    "[\n  1,\n\n  # [none]\n  [2],\n]",
    "{ x = 1 }",
    "2026-01-01",
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "\n", "# x = 1\n", "\n# [t0]\n\n"]),
            st.booleans(),
            st.sampled_from(VALUES),
        ),
        max_size=12,
    )
)
def test_each_statement_of_any_text_is_found(
    statements: list[tuple[str, bool, str]],
) -> None:
    text = ""
    table: tuple[str, ...] = ()
    lines: dict[tuple[str, ...], int] = {}
    for number, (before, opens, value) in enumerate(statements):
        text += before
        if opens:
            table = (f"t{number}",)
            lines[table] = text.count("\n") + 1
            text += f"[t{number}]\n"
        lines[(*table, f"k{number}")] = text.count("\n") + 1
        text += f"k{number} = {value}\n"
    tomllib.loads(text)
    assert {path: line_of(text, path) for path in lines} == lines
