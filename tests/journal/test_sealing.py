"""Keys of a journal: what they seal, what they open, and what is said of wrong ones."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Mapping
from typing import Annotated, cast

import attrs
import msgspec
import pytest

from understudy import SENSITIVE, freeze
from understudy.journal.sealing import VARIABLE, Keys, new_key
from understudy.journal.values import restored, stored, stored_sealed
from understudy_protocols.codec import register_tag, to_plain
from understudy_protocols.errors import CodecError, ConfigError

SECRET = "hunter2-planted"
OLD, NEW, OTHER = (base64.b64encode(bytes([n]) * 32).decode() for n in range(3))


@attrs.frozen
class Login:
    user: str
    password: Annotated[object, SENSITIVE]


@attrs.frozen
class Page:
    title: str


@pytest.fixture(autouse=True)
def _tags() -> None:
    register_tag(Login, "test.sealing.login")
    register_tag(Page, "test.sealing.page")


def keys(*words: str) -> Keys:
    return Keys({VARIABLE: " ".join(words)})


def written(value: object, ring: Keys) -> tuple[bytes, dict[bytes, bytes]]:
    """Return what stands in a record, and the large values beside it."""
    kept: dict[bytes, bytes] = {}
    return msgspec.msgpack.encode(stored(freeze(value), kept.setdefault, ring)), kept


def read(content: bytes, kept: Mapping[bytes, bytes], ring: Keys) -> object:
    return restored(msgspec.msgpack.decode(content), kept.__getitem__, ring)


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("password", [SECRET, (SECRET, 1), Login("v", SECRET)])
def test_what_is_sensitive_is_sealed_and_comes_back(
    size: int, password: object
) -> None:
    value = freeze({"pages": [Page("p" * size)], "login": Login("u", password)})
    content, kept = written(value, keys(OLD))
    there = b"".join([content, *kept.values()])
    assert SECRET.encode() not in there
    assert b"$sealed" in there
    assert bool(kept) == (size > 1)
    assert read(content, kept, keys(OLD)) == value


def test_the_same_secret_looks_different_each_time() -> None:
    ring = keys(OLD)
    assert written(Login("u", SECRET), ring) != written(Login("u", SECRET), ring)


def test_after_a_change_of_keys_the_first_seals_and_all_open() -> None:
    old = written(Login("u", SECRET), keys(OLD))
    ring = keys(f"{NEW},{OLD}")
    new = written(Login("u", SECRET), ring)
    for one in (old, new):
        assert read(*one, ring) == Login("u", SECRET)
    assert read(*new, keys(NEW)) == Login("u", SECRET)
    with pytest.raises(CodecError, match=VARIABLE) as caught:
        read(*old, keys(NEW))
    # Which one is missing, and which are there.
    (sealed,) = _sealed_in(old[0])
    assert f"with the key {sealed[0]}" in str(caught.value)
    assert SECRET not in str(caught.value)


def _sealed_in(content: bytes) -> list[list[object]]:
    found: list[list[object]] = []

    def look(plain: object) -> None:
        if isinstance(plain, dict):
            for key, part in cast("dict[str, object]", plain).items():
                look(part)
                if key == "$sealed":
                    found.append(cast("list[object]", part))

    look(cast("object", msgspec.msgpack.decode(content)))
    return found


def test_what_was_changed_is_not_opened() -> None:
    content, kept = written(Login("u", SECRET), keys(OLD))
    torn = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(CodecError, match="changed afterwards"):
        read(torn, kept, keys(OLD))


def test_a_name_of_a_key_says_nothing_of_another_key_under_it() -> None:
    content, kept = written(Login("u", SECRET), keys(OLD))
    (sealed,) = _sealed_in(content)
    other = written(Login("u", SECRET), keys(OTHER))
    (others,) = _sealed_in(other[0])
    forged = content.replace(str(sealed[0]).encode(), str(others[0]).encode())
    with pytest.raises(CodecError, match="changed afterwards"):
        read(forged, kept, keys(OLD, OTHER))


def test_without_a_key_nothing_sensitive_is_written_or_read() -> None:
    content, kept = written(Login("u", SECRET), keys(OLD))
    told = rf"sensitive.*\${VARIABLE} is not set"
    with pytest.raises(CodecError, match=told):
        written(Login("u", SECRET), keys())
    with pytest.raises(CodecError, match=told):
        read(content, kept, keys())


@pytest.mark.parametrize(
    "wrong",
    [
        "hunter2",
        OLD[:-4],
        OLD + OLD,
        f"{OLD}!",
        base64.b64encode(b"k" * 16).decode(),
        "é" * 44,
    ],
)
def test_a_wrong_key_is_called_one_and_not_shown(wrong: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"key 2 in \${VARIABLE} is not 32"
    ) as caught:
        keys(OLD, wrong).check()
    assert caught.value.__context__ is None
    assert wrong not in str(caught.value)


def test_a_new_key_is_one_and_no_other_has_it() -> None:
    one, other = new_key(), new_key()
    assert one != other
    keys(one, other).check()
    # As other programs write it.
    keys(base64.urlsafe_b64encode(b"\xff" * 32).decode()).check()


def test_values_without_anything_sensitive_are_written_as_ever() -> None:
    values: list[object] = [
        1,
        "text",
        "of $sensitive and $sealed",
        Page("p"),
        Page("$sensitive"),
        {"$sensitive": 1, "$sealed": ["a", b"b", b"c"]},
        ("long $sensitive", "x" * 5000),
    ]
    ring = keys()
    for value in map(freeze, values):
        content, kept = written(value, ring)
        whole = next(iter(kept.values()), content)
        assert whole == msgspec.msgpack.encode(to_plain(value))
        assert read(content, kept, ring) == value


def test_a_text_can_be_sensitive_as_a_whole() -> None:
    ring = keys(OLD)
    plain = stored_sealed(SECRET, lambda digest, content: None, ring)
    content = msgspec.msgpack.encode(plain)
    assert SECRET.encode() not in content
    assert read(content, {}, ring) == SECRET


def test_a_request_is_sealed_as_a_whole() -> None:
    ring = keys(NEW, OLD)
    body = msgspec.json.encode({"pause": "ask", "value": SECRET})
    sealed = keys(OLD).sealed_body(body)
    assert SECRET.encode() not in sealed
    assert ring.opened_body(sealed) == body
    assert ring.opened_body(body) == body
    assert ring.opened_body(b"no JSON") == b"no JSON"
    with pytest.raises(CodecError, match="changed afterwards"):
        ring.opened_body(sealed[:-5] + b"A" + sealed[-4:])


LOADED = """
import sys
from understudy.journal.sealing import Keys, new_key
from understudy.journal.values import stored
stored((1, "text", None), dict().setdefault, Keys())
assert "cryptography" not in sys.modules
sys.modules["cryptography"] = None
try:
    Keys({"UNDERSTUDY_JOURNAL_KEY": new_key()}).check()
except Exception as error:
    print(error)
"""


def test_what_encrypts_is_loaded_with_the_first_secret_and_may_be_missing() -> None:
    said = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert said.stdout == (
        "the library that encrypts is not installed; pip install 'understudy[crypto]'\n"
    )
