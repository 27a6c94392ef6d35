"""What every model must do, and how a call can fail.

ModelError                  a call failed
├── TransientModelError     the runtime may try again, or elsewhere
│   ├── RateLimitedError    429; carries `retry_after_s`
│   ├── ModelTimeoutError   no answer in time, or a stream that hangs
│   └── ModelServerError    5xx, or the server cannot be reached
├── BadReplyError           the model answered rubbish, or nothing
├── ContextOverflowError    the prompt is too long for this model
├── ModelRefusedError       the provider's content policy refused
├── ModelAuthError          the operator has to mend a key
├── ModelRequestError       the provider says that our request is wrong
├── FeatureMissingError     the caller needs a feature this model does not have
├── UnknownModelError       the operator named a model that nobody knows
└── ScriptExhaustedError    a scripted or recorded model has no line left
"""

from collections.abc import Callable
from typing import Literal, Protocol

from models.messages import Frozen, Reply, Request

Feature = Literal[
    "chat",
    "tools",
    "json_schema",
    "prefix_continuation",
    "logprobs_topk",
    "logits",
    "images",
    "seed",
    "train",
]
"""Something that a method may need of a model."""

OnText = Callable[[str], None]
"""Called with each piece of text as it arrives."""


class ModelError(Exception):
    """A model call failed; the subclass says who must act."""


class TransientModelError(ModelError):
    """The same call may succeed later or elsewhere: the runtime retries or falls back."""


class RateLimitedError(TransientModelError):
    """The provider asks us to slow down."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelTimeoutError(TransientModelError):
    """No answer arrived within the time allowed."""


class ModelServerError(TransientModelError):
    """The server failed or cannot be reached."""


class BadReplyError(ModelError):
    """The reply is empty or not what was asked for, even after asking once more."""


class ContextOverflowError(ModelError):
    """The prompt is longer than the model's context."""


class ModelRefusedError(ModelError):
    """The provider's policy refused the content."""


class ModelAuthError(ModelError):
    """The key is missing or wrong; the operator must act."""


class ModelRequestError(ModelError):
    """The provider rejects the request as malformed."""


class FeatureMissingError(ModelError):
    """The model does not have a feature that the caller needs."""


class UnknownModelError(ModelError):
    """No model of that name is known."""


class ScriptExhaustedError(ModelError):
    """A scripted or recorded model has no line left for this call."""


class ModelInfo(Frozen):
    """What is known about a model before it is asked anything."""

    name: str
    """Name in the catalogue, as users type it."""
    model_id: str
    """Id as LiteLLM or the backend wants it."""
    features: frozenset[Feature] = frozenset({"chat"})
    context_tokens: int = 8192
    usd_per_mtok_in: float = 0.0
    usd_per_mtok_out: float = 0.0
    memory_gib: float = 0.0
    """Memory that a local model needs; 0 for a remote one."""
    local: bool = False
    note: str = ""
    """A plain sentence for people: what it is, what it cannot do."""


class Model(Protocol):
    """Anything that can answer a conversation."""

    @property
    def info(self) -> ModelInfo:
        """What is known about this model."""
        ...

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the assistant's turn, streaming its text to `on_text` when given.

        Raises:
            ModelError: the call failed; see the tree above.
        """
        ...
