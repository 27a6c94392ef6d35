"""A model that says what it was told to say: for tests, demos and dry runs."""

from collections.abc import Callable, Iterable, Iterator

from models.base import Feature, ModelError, ModelInfo, OnText, ScriptExhaustedError
from models.messages import JsonObject, Message, Reply, Request, ToolCall, Usage

Line = Reply | Message | str | ModelError
"""One answer of a script; an error is raised instead of answered."""

Responder = Callable[[Request], Line]
"""A script that reads the request before it answers."""

_FEATURES: frozenset[Feature] = frozenset({"chat", "tools", "json_schema"})

SCRIPTED_INFO = ModelInfo(
    name="scripted",
    model_id="scripted",
    features=_FEATURES,
    context_tokens=1_000_000,
    local=True,
    note="Answers from a script, not a language model.",
)


class ScriptedModel:
    """Answer with the lines of a script, in order, and remember every request."""

    def __init__(
        self, script: Iterable[Line] | Responder, *, info: ModelInfo = SCRIPTED_INFO
    ) -> None:
        self._info = info
        self._responder: Responder | None = None
        self._lines: Iterator[Line] = iter(())
        if callable(script):
            self._responder = script
        else:
            self._lines = iter(script)
        self.requests: list[Request] = []

    @property
    def info(self) -> ModelInfo:
        """What is known about this model."""
        return self._info

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the next line as a reply.

        Raises:
            ScriptExhaustedError: no line is left.
            ModelError: the line is an error.
        """
        self.requests.append(request)
        line = self._next_line(request)
        if isinstance(line, ModelError):
            raise line
        reply = as_reply(line, model=self._info.name)
        if on_text is not None and reply.message.content:
            on_text(reply.message.content)
        return reply

    def _next_line(self, request: Request) -> Line:
        if self._responder is not None:
            return self._responder(request)
        try:
            return next(self._lines)
        except StopIteration:
            asked = request.messages[-1].content[:200] if request.messages else ""
            message = (
                f"The script of model {self._info.name!r} has no line left for call "
                f"{len(self.requests)} (purpose {request.purpose!r}, last message {asked!r}). "
                "Add a line, or find out why the model is asked once more than expected."
            )
            raise ScriptExhaustedError(message) from None


def as_reply(line: Reply | Message | str, *, model: str = "scripted") -> Reply:
    """Return `line` as a whole reply, with one call counted when it says no usage."""
    if isinstance(line, str):
        line = Message(role="assistant", content=line)
    if isinstance(line, Message):
        finish = "tool_calls" if line.tool_calls else "stop"
        line = Reply(message=line, usage=Usage(calls=1), finish=finish)
    return line if line.model else line.model_copy(update={"model": model})


def tool_call_message(name: str, arguments: JsonObject, *, call_id: str = "call_1") -> Message:
    """Return an assistant's turn that asks for one tool."""
    call = ToolCall(id=call_id, name=name, arguments=arguments)
    return Message(role="assistant", tool_calls=(call,))
