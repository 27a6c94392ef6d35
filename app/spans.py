"""Turns, agents, model calls and tool calls as spans, by OpenTelemetry's conventions for GenAI.

A task has one trace, whose id follows from the task's, so that what several processes do for it is
in the same one. Spans hold names, counts and kinds of errors, never what was said or found.
"""

import asyncio
import hashlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.db.records import Claim, TaskRow
from app.tracing import TurnTrace
from models.base import Model, ModelInfo, OnText
from models.messages import JsonObject, Reply, Request
from tools.base import AnyTool, ToolContext
from tools.toolbox import CallOutcome, Toolbox

_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""What the conventions call providers that have another name with LiteLLM."""
_TRACE_ID: ContextVar[int | None] = ContextVar("strop_trace_id", default=None)
Attributes = dict[str, str | int | float | tuple[str, ...]]


def trace_id_of(task_id: str) -> int:
    """Return the id of a task's trace, the same in every process."""
    return int.from_bytes(hashlib.sha256(f"strop task {task_id}".encode()).digest()[:16], "big")


class TaskTraceIds(RandomIdGenerator):
    """Gives a task's spans its trace, and others one of their own."""

    def generate_trace_id(self) -> int:
        """Return the id for a span that has no parent."""
        return _TRACE_ID.get() or super().generate_trace_id()


class SpanTracing:
    """Shows turns as spans; see `app.tracing.Tracing`."""

    def __init__(self, provider: TracerProvider, hurry: Callable[[], None]) -> None:
        """Make it.

        Args:
            provider: where the spans go.
            hurry: called before the last ones are delivered.
        """
        self._provider = provider
        self._hurry = hurry
        self._tracer = provider.get_tracer("strop")

    @contextmanager
    def turn(self, claim: Claim, task: TaskRow) -> Generator[TurnTrace]:
        """Show a turn as a span without a parent in the task's trace."""
        attributes: Attributes = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": _WORKFLOWS[claim.phase],
            "gen_ai.conversation.id": task.id,
            "strop.run.id": claim.run_id,
            "strop.namespace": task.namespace,
            "strop.turn": task.turn,
        }
        token = _TRACE_ID.set(trace_id_of(task.id))
        try:
            span = self._tracer.start_span(
                f"invoke_workflow {_WORKFLOWS[claim.phase]}", Context(), attributes=attributes
            )
        finally:
            _TRACE_ID.reset(token)
        trace = _Turn(self._tracer, span, task.id)
        with _ending(span):
            try:
                yield trace
            finally:
                trace.close()

    def submitted(self, task_id: str, traceparent: str) -> None:
        """Show in the trace of whoever submitted a task which trace the task has."""
        caller = TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())
        trace_id = trace_id_of(task_id)
        own = SpanContext(trace_id, trace_id >> 64 or 1, True, TraceFlags(TraceFlags.SAMPLED))
        span = self._tracer.start_span(
            "submit task",
            caller,
            kind=SpanKind.PRODUCER,
            attributes={"gen_ai.conversation.id": task_id},
            links=[Link(own)],
        )
        span.end()

    async def close(self) -> None:
        """Deliver what is left, if that is soon done."""
        self._hurry()
        await asyncio.to_thread(self._provider.shutdown)


_WORKFLOWS = {"run": "task", "learn": "learning"}


class _Turn:
    """The span of a turn and, inside it, that of the agent who has the word."""

    def __init__(self, tracer: Tracer, span: Span, task_id: str) -> None:
        self._tracer = tracer
        self._span = span
        self._task_id = task_id
        self._agent: Span | None = None
        self._role = ""

    def model(self, model: Model) -> Model:
        """Return the model, each call of which is shown."""
        return _TracedModel(model, self)

    def toolbox(self, tools: Mapping[str, AnyTool], context: ToolContext) -> Toolbox:
        """Return a toolbox, each call of which is shown."""
        return _TracedToolbox(tools, context, self)

    def ended(self, status: str, reason: str) -> None:
        """Show how the turn ended."""
        self._span.set_attribute("strop.status", status)
        if reason:
            self._span.set_attribute("strop.end_reason", reason)
        if status == "failed":
            failed(self._span, reason)

    def agent(self, role: str) -> None:
        """Let an agent have the word; what is called from now on belongs to it."""
        if self._agent is not None and role == self._role:
            return
        self.close()
        self._role = role
        attributes: Attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": role,
            "gen_ai.conversation.id": self._task_id,
        }
        self._agent = self._start(f"invoke_agent {role}", SpanKind.INTERNAL, attributes, self._span)

    @contextmanager
    def call(
        self, name: str, kind: SpanKind, attributes: Attributes, *, may_wait: bool = False
    ) -> Generator[Span]:
        """Show a call from here to the end of the block, as the agent's."""
        attributes |= {"gen_ai.conversation.id": self._task_id}
        if self._role:
            attributes |= {"gen_ai.agent.name": self._role}
        span = self._start(name, kind, attributes, self._agent or self._span)
        with _ending(span, may_wait=may_wait):
            yield span

    def close(self) -> None:
        """Take the word from whoever has it."""
        if self._agent is not None:
            self._agent.end()
            self._agent = None

    def _start(self, name: str, kind: SpanKind, attributes: Attributes, parent: Span) -> Span:
        within = set_span_in_context(parent, Context())
        return self._tracer.start_span(name, within, kind=kind, attributes=attributes)


@contextmanager
def _ending(span: Span, *, may_wait: bool = False) -> Generator[None]:
    """End a span with the block, and show what broke it off, but not in whose words."""
    try:
        yield
    except asyncio.CancelledError:
        failed(span, "cancelled")
        raise
    except BaseException as error:
        if may_wait and isinstance(error, Exception):  # a tool lets through only what asks a person
            span.set_attribute("strop.waits", True)
        else:
            failed(span, type(error).__name__)
        raise
    finally:
        span.end()


def failed(span: Span, kind: str) -> None:
    """Mark a span as failed."""
    span.set_attribute("error.type", kind or "_OTHER")
    span.set_status(Status(StatusCode.ERROR))


class _TracedModel:
    """A model, each call of which is a span; tries and fallbacks inside it are one call."""

    def __init__(self, model: Model, turn: _Turn) -> None:
        self._model = model
        self._turn = turn

    @property
    def info(self) -> ModelInfo:
        """What is known about the model."""
        return self._model.info

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Answer; see `models.base.Model`."""
        role, _, purpose = request.purpose.partition(".")
        self._turn.agent(role or "agent")
        attributes = _asked(self.info, request) | {"strop.purpose": purpose}
        name = f"chat {attributes['gen_ai.request.model']}"
        with self._turn.call(name, SpanKind.CLIENT, attributes) as span:
            reply = await self._model.complete(request, on_text=on_text)
            span.set_attributes(_answered(reply))
            return reply


def _asked(info: ModelInfo, request: Request) -> Attributes:
    provider, _, model = info.model_id.rpartition("/")
    provider = provider.partition("/")[0]
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider) or "_OTHER",
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.output.type": "json" if request.output else "text",
    }


def _answered(reply: Reply) -> Attributes:
    return {
        "gen_ai.response.model": reply.model or "_OTHER",
        "gen_ai.response.finish_reasons": (reply.finish,),
        "gen_ai.usage.input_tokens": reply.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": reply.usage.completion_tokens,
        "strop.usd": reply.usage.usd,
    }


class _TracedToolbox(Toolbox):
    """A toolbox, each call of which is a span."""

    def __init__(self, tools: Mapping[str, AnyTool], context: ToolContext, turn: _Turn) -> None:
        super().__init__(tools, context)
        self._turn = turn

    async def call(self, name: str, arguments: JsonObject) -> CallOutcome:
        """Run one tool; see `tools.toolbox.Toolbox`."""
        known = name if name in self.names else "unknown"
        attributes: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": known,
            "gen_ai.tool.type": "function",
        }
        shown = self._turn.call(
            f"execute_tool {known}", SpanKind.INTERNAL, attributes, may_wait=True
        )
        with shown as span:
            outcome = await super().call(name, arguments)
            if not outcome.ok:
                failed(span, outcome.error_class or "_OTHER")
            return outcome
