"""A key: read where it is kept, when it is needed, and shown to nobody."""

from __future__ import annotations

import os
import re
from pathlib import Path

from understudy_protocols.errors import ConfigError

_KEY = re.compile(r"[!-~]+")
"""What a header can carry.  Anything else would end up in the error that says so."""

_SHORTEST = 8
"""Characters of a key that is one: what is shorter is put where a server wants some
key and any will do, and taken out of a text it would leave holes."""


class Secret:
    """A text that no log, error, event or ``repr`` shows.

    Two are equal if they are kept in the same place.

    Args:
      text: the secret itself; at most one of these three is given.
      env: the environment variable that holds it.
      file: the file that holds it; white space around it does not count.
    """

    __slots__ = ("_env", "_file", "_text")

    def __init__(
        self,
        text: str | None = None,
        *,
        env: str | None = None,
        file: Path | None = None,
    ) -> None:
        if sum(given is not None for given in (text, env, file)) > 1:
            raise ConfigError("a key has one place: a text, `env` or `file`")
        self._text = text
        self._env = env
        self._file = file

    def __repr__(self) -> str:
        return f"<{self.where}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._place == other._place

    def __hash__(self) -> int:
        return hash(self._place)

    @property
    def _place(self) -> tuple[object, ...]:
        return (self._text or None, self._env, self._file)

    @property
    def given(self) -> bool:
        """Whether there is one at all."""
        return any(self._place)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not to be copied out of the process")

    @property
    def where(self) -> str:
        """Where it is kept, for people."""
        if self._env is not None:
            return f"the key in ${self._env}"
        if self._file is not None:
            return f"the key in {self._file}"
        return "no key" if self._text is None else "a key given in the program"

    def reveal(self) -> str:
        """Return the secret; empty if there is none.

        Raises:
          ConfigError: it is not where it should be, or can be no key.
        """
        text = self._read()
        if self.given and not _KEY.fullmatch(text):
            wrong = "is empty" if not text else "has characters that no key has"
            raise ConfigError(f"{self.where} {wrong}; put the key alone there")
        return text

    def hide_in(self, text: str) -> str:
        """Return *text* without the secret, which a server may have repeated."""
        try:
            secret = self.reveal()
        except ConfigError:
            return text
        return text.replace(secret, "[key]") if len(secret) >= _SHORTEST else text

    def _read(self) -> str:
        if self._env is not None:
            text = os.environ.get(self._env)
            if text is None:
                raise ConfigError(f"${self._env} is not set; put the key there")
            return text.strip()
        if self._file is not None:
            try:
                return self._file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"cannot read the key in {self._file}: {type(error).__name__}"
                ) from None
        return self._text or ""
