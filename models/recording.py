"""Write down what a model was asked and answered, and play it back.

A recording is JSON lines. A call is found again by its purpose and by what the model would
see (messages, tools, wanted output), so a changed prompt is told with its difference.
"""

import difflib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from models import base
from models.base import (
    ModelError,
    ModelInfo,
    OnText,
    RateLimitedError,
    ScriptExhaustedError,
)
from models.messages import Frozen, Reply, Request

_MAX_DIFF_LINES = 60

REPLAY_INFO = ModelInfo(
    name="replay",
    model_id="replay",
    features=frozenset({"chat", "tools", "json_schema"}),
    context_tokens=1_000_000,
    local=True,
    note="Plays a recording back, not a language model.",
)


class RecordedError(Frozen):
    """A failure that was recorded in place of a reply."""

    type: str
    message: str
    retry_after_s: float | None = None


class Recorded(Frozen):
    """One call: a line of a recording."""

    version: Literal[1] = 1
    model: ModelInfo
    request: Request
    reply: Reply | None = None
    error: RecordedError | None = None


class RecordingModel:
    """Pass every call on, and append it to a file."""

    def __init__(self, model: base.Model, path: Path) -> None:
        self._model = model
        self._path = path

    @property
    def info(self) -> ModelInfo:
        """What is known about the model inside."""
        return self._model.info

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the model's turn after writing it down; a failure is written down too."""
        try:
            reply = await self._model.complete(request, on_text=on_text)
        except ModelError as error:
            recorded = RecordedError(
                type=type(error).__name__,
                message=str(error),
                retry_after_s=getattr(error, "retry_after_s", None),
            )
            self._append(Recorded(model=self.info, request=request, error=recorded))
            raise
        self._append(Recorded(model=self.info, request=request, reply=reply))
        return reply

    def _append(self, recorded: Recorded) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(recorded.model_dump_json() + "\n")


class ReplayModel:
    """Answer from a recording; equal calls are answered in the order of the recording.

    With `match="exact"` a call must be the recorded one to the letter. With `match="order"` the
    calls of one purpose are answered in turn, whatever their prompts say, so that a recording
    outlives a change of wording.
    """

    def __init__(self, path: Path, *, match: Literal["exact", "order"] = "exact") -> None:
        self._path = path
        self._match = match
        self._lines = _read(path)
        self._left = list(range(len(self._lines)))
        self._info = self._lines[0].model if self._lines else REPLAY_INFO

    @property
    def info(self) -> ModelInfo:
        """What was known about the recorded model."""
        return self._info

    def unused(self) -> tuple[Recorded, ...]:
        """Return the recorded calls that nobody asked for yet."""
        return tuple(self._lines[place] for place in self._left)

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the recorded turn, or raise the recorded failure.

        Raises:
            ScriptExhaustedError: this call is not in the recording, or was used up.
        """
        wanted = key(request)
        for place in self._left:
            recorded = self._lines[place].request
            same = recorded.purpose == request.purpose
            if same and (self._match == "order" or key(recorded) == wanted):
                self._left.remove(place)
                return _played(self._lines[place], on_text)
        raise ScriptExhaustedError(self._why_missing(request))

    def _why_missing(self, request: Request) -> str:
        asked = f"Recording {str(self._path)!r} has no call left for purpose {request.purpose!r}"
        nearest = next((r for r in self.unused() if r.request.purpose == request.purpose), None)
        if nearest is None:
            return f"{asked}, with {len(self._left)} other calls unused. Record it again."
        return (
            f"{asked} with this prompt; it differs from the recorded one. Record it again "
            f"if the change is meant:\n{_difference(nearest.request, request)}"
        )


def key(request: Request) -> str:
    """Return what identifies a call: its purpose and a hash of what the model sees."""
    return f"{request.purpose}:{hashlib.sha256(_seen(request).encode()).hexdigest()}"


def _seen(request: Request) -> str:
    shown = request.model_dump(mode="json", include={"messages", "tools", "output"})
    return json.dumps(shown, indent=1, sort_keys=True, ensure_ascii=False)


def _difference(recorded: Request, asked: Request) -> str:
    # Newlines inside prompts become lines of the difference, so that a changed line is seen.
    old, new = (_seen(request).replace("\\n", "\n").splitlines() for request in (recorded, asked))
    lines = list(difflib.unified_diff(old, new, "recorded", "asked", lineterm="", n=1))
    rest = len(lines) - _MAX_DIFF_LINES
    return "\n".join(lines[:_MAX_DIFF_LINES]) + (f"\n… {rest} more lines" if rest > 0 else "")


def _read(path: Path) -> Sequence[Recorded]:
    lines: list[Recorded] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            lines.append(Recorded.model_validate_json(line))
        except ValidationError as error:
            message = f"Line {number} of recording {str(path)!r} is not a recorded call: {error}"
            raise ModelError(message) from error
    return lines


def _played(recorded: Recorded, on_text: OnText | None) -> Reply:
    if recorded.reply is None:
        raise _raised(recorded.error or RecordedError(type="ModelError", message="no reply"))
    if on_text is not None and recorded.reply.message.content:
        on_text(recorded.reply.message.content)
    return recorded.reply


def _raised(error: RecordedError) -> ModelError:
    if error.type == RateLimitedError.__name__:
        return RateLimitedError(error.message, retry_after_s=error.retry_after_s)
    kind = getattr(base, error.type, ModelError)
    if isinstance(kind, type) and issubclass(kind, ModelError):
        return kind(error.message)
    return ModelError(error.message)
