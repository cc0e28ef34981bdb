"""How many tokens a picture or a file can be: nobody can say but who serves the model."""

from __future__ import annotations

from typing import Final

import msgspec

from understudy_protocols.chat import FilePart, ImagePart, ModelRequest, Part


class PartBounds(msgspec.Struct, frozen=True):
    """The most tokens that one part counts for, as a model's user has declared.

    Args:
      image: of one picture; a count, None if it is not known.
      file: of one file; a count, None if it is not known.
    """

    image: int | None = None
    file: int | None = None

    def tokens_of(self, part: Part) -> int:
        """Return the bound of *part*; 0 for words, and for what has no bound."""
        if isinstance(part, ImagePart):
            return self.image or 0
        return (self.file or 0) if isinstance(part, FilePart) else 0

    def boundless(self, request: ModelRequest) -> Boundless | None:
        """Return the first part of *request* without a bound; None if all have one."""
        for message in request.messages:
            for part in message.parts:
                if isinstance(part, ImagePart) and self.image is None:
                    return Boundless("an image", "image_tokens")
                if isinstance(part, FilePart) and self.file is None:
                    return Boundless("a file", "file_tokens")
        return None


class Boundless(msgspec.Struct, frozen=True):
    """A part of which nobody knows how many tokens it is.

    Args:
      what: it is.
      setting: where its bound can be declared.
    """

    what: str
    setting: str

    @property
    def advice(self) -> str:
        """What is wrong, and what to do; a clause."""
        return (
            "nobody knows how many tokens that is; declare the most that one can be, as "
            f"{self.setting} of the model's capabilities"
        )


UNBOUNDED: Final = PartBounds()
"""Nothing is known."""
