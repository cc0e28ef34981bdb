"""A key: read where it is kept, when it is needed, and shown to nobody."""

from __future__ import annotations

import os
from pathlib import Path

from understudy_protocols.errors import ConfigError


class Secret:
    """A text that no log, error, event or ``repr`` shows.

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
          ConfigError: it is not where it should be.
        """
        if self._env is not None:
            text = os.environ.get(self._env, "").strip()
            if not text:
                raise ConfigError(f"${self._env} is not set; put the key there")
            return text
        if self._file is not None:
            try:
                return self._file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"cannot read the key in {self._file}: {type(error).__name__}"
                ) from None
        return self._text or ""

    def hide_in(self, text: str) -> str:
        """Return *text* without the secret, which a server may have repeated."""
        try:
            secret = self.reveal()
        except ConfigError:
            return text
        return text.replace(secret, "[key]") if secret else text
