"""A real HTTP server that speaks the OpenAI API and answers what a test tells it to.

It runs in threads on a loopback port, so the code under test talks to it over a true socket.
A script is one answer, a list of answers used in order, or a function from the request's JSON
to an answer, which is called from many threads at once. Streaming requests get the same answer as
server-sent events.
"""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the server sends back for one completion."""

    text: str = ""
    tool_calls: tuple[tuple[str, Json], ...] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    """Sent as it is, instead of a completion."""
    finish: str | None = None
    usage: tuple[int, int] | None = (11, 7)
    """Prompt and completion tokens; nothing is reported when None."""
    hang_after: int | None = None
    """Stop sending after so many chunks (0: before the first byte), until the server stops."""
    cut_after: int | None = None
    """Close the connection after so many chunks."""
    end_after: int | None = None
    """End the stream after so many chunks, politely, as if that were all."""


def text(content: str, **options: Any) -> Answer:
    """Return an answer of plain text."""
    return Answer(text=content, **options)


def tool_call(name: str, arguments: Json, **options: Any) -> Answer:
    """Return an answer that calls one tool."""
    return Answer(tool_calls=((name, arguments),), **options)


def as_json(value: object, **options: Any) -> Answer:
    """Return an answer whose text is `value` as JSON."""
    return Answer(text=json.dumps(value), **options)


def error(status: int, message: str, *, code: str | None = None, **headers: str) -> Answer:
    """Return an error in the shape of the OpenAI API; headers are named `retry_after="1"`."""
    detail = {"message": message, "type": "error", "param": None, "code": code}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=json.dumps({"error": detail}).encode())


Responder = Callable[[Json], Answer]
Script = Answer | Sequence[Answer] | Responder


class OpenAIServer:
    """A programmable server; use it as a context manager."""

    def __init__(self, script: Script = Answer(text="hello"), *, models: Sequence[str] = ("m",)):
        self.requests: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.models = tuple(models)
        self.owned_by = "test"
        self.lists_models = True
        """Whether `/v1/models` is there; old servers lack it."""
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self.respond(script)
        self._http = _Http(self)
        self._thread = threading.Thread(target=self._serve, name="openai-server")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def port(self) -> int:
        """The loopback port."""
        return int(self._http.server_address[1])

    @property
    def base_url(self) -> str:
        """The address to give to a client."""
        return f"http://127.0.0.1:{self.port}/v1"

    def respond(self, script: Script) -> None:
        """Set what is answered from now on; the last answer of a list is repeated."""
        with self._lock:
            if isinstance(script, Answer):
                script = [script]
            self._responder: Responder = script if callable(script) else _in_order(script)

    def answer(self, request: Json, headers: dict[str, str]) -> Answer:
        """Remember a request and return what to send back."""
        with self._lock:
            self.requests.append(request)
            self.headers.append(headers)
            responder = self._responder
        return responder(request)

    def _serve(self) -> None:
        self._http.serve_forever(poll_interval=0.02)


def _in_order(answers: Sequence[Answer]) -> Responder:
    left = list(answers)
    lock = threading.Lock()

    def respond(_request: Json) -> Answer:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return respond


class _Http(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, owner: OpenAIServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client goes away: tests do that on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _owner(self) -> OpenAIServer:
        return cast("_Http", self.server).owner

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep quiet."""

    def do_GET(self) -> None:
        models, owner = self._owner.models, self._owner.owned_by
        if self.path == "/v1/models" and self._owner.lists_models:
            listed = [{"id": name, "object": "model", "owned_by": owner} for name in models]
            self._send(200, {}, json.dumps({"object": "list", "data": listed}).encode())
        elif self.path == "/api/tags":
            named = [{"name": name} for name in models]
            self._send(200, {}, json.dumps({"models": named}).encode())
        else:
            self._send(404, {}, b"{}")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        request = json.loads(self.rfile.read(length))
        answer = self._owner.answer(request, dict(self.headers.items()))
        if answer.body is None and request.get("stream"):
            self._stream(request, answer)
            return
        if answer.hang_after is not None:
            self._hang()
            return
        if answer.cut_after is not None:
            self.close_connection = True
            return
        body = json.dumps(_completion(request, answer)).encode()
        self._send(answer.status, answer.headers, answer.body if answer.body is not None else body)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        shown = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        for name, value in {**shown, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, request: Json, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
        for name, value in {**headers, **answer.headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        for sent, chunk in enumerate(_chunks(request, answer)):
            if sent == answer.hang_after:
                self._hang()
                return
            if sent == answer.cut_after:
                return
            if sent == answer.end_after:
                break
            self._write_chunk(f"data: {json.dumps(chunk)}\n\n".encode())
        self._write_chunk(b"data: [DONE]\n\n")
        self._write_chunk(b"")

    def _write_chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _hang(self) -> None:
        self._owner.stopping.wait(timeout=60)
        self.close_connection = True


def _calls(answer: Answer) -> list[Json]:
    return [
        {
            "index": index,
            "id": f"call_{index}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for index, (name, arguments) in enumerate(answer.tool_calls)
    ]


def _finish(answer: Answer) -> str:
    return answer.finish or ("tool_calls" if answer.tool_calls else "stop")


def _usage(answer: Answer) -> Json | None:
    if answer.usage is None:
        return None
    prompt, completion = answer.usage
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _completion(request: Json, answer: Answer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text}
    if answer.tool_calls:
        message["tool_calls"] = _calls(answer)
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer)}
    completion: Json = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model", ""),
        "choices": [choice],
    }
    if usage := _usage(answer):
        completion["usage"] = usage
    return completion


def _chunks(request: Json, answer: Answer) -> Iterator[Json]:
    shared: Json = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": request.get("model", ""),
    }

    def chunk(delta: Json, finish: str | None = None) -> Json:
        return {**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for start in range(0, len(answer.text), 4):
        yield chunk({"content": answer.text[start : start + 4]})
    for call in _calls(answer):
        function = call["function"]
        yield chunk({"tool_calls": [{**call, "function": {**function, "arguments": ""}}]})
        for start in range(0, len(function["arguments"]), 5):
            part = {"arguments": function["arguments"][start : start + 5]}
            yield chunk({"tool_calls": [{"index": call["index"], "function": part}]})
    yield chunk({}, _finish(answer))
    if usage := _usage(answer):
        yield {**shared, "choices": [], "usage": usage}
