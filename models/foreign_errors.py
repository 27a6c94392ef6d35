"""Which of our errors stands for which of LiteLLM's or OpenAI's; told by name, nothing imported."""

import re
from typing import Any

from models.base import (
    BadReplyError,
    ContextOverflowError,
    ModelAuthError,
    ModelError,
    ModelRefusedError,
    ModelRequestError,
    ModelServerError,
    ModelTimeoutError,
    RateLimitedError,
    UnknownModelError,
)

_MAX_MESSAGE = 600

_BY_NAME: dict[str, tuple[type[ModelError], str]] = {
    "Timeout": (ModelTimeoutError, "Try again, or allow more time."),
    "APITimeoutError": (ModelTimeoutError, "Try again, or allow more time."),
    "TimeoutError": (ModelTimeoutError, "Try again, or allow more time."),
    "TimeoutException": (ModelTimeoutError, "Try again, or allow more time."),
    "RateLimitError": (RateLimitedError, "Try again later."),
    "ContextWindowExceededError": (
        ContextOverflowError,
        "Shorten the prompt, or choose a model with a longer context.",
    ),
    "ContentPolicyViolationError": (ModelRefusedError, "The provider's policy refused it."),
    "RejectedRequestError": (ModelRefusedError, "The provider's policy refused it."),
    "AuthenticationError": (ModelAuthError, "Check the key of this provider."),
    "PermissionDeniedError": (ModelAuthError, "The key may not use this model."),
    "PaymentRequiredError": (ModelAuthError, "The account has no credit left."),
    "NotFoundError": (UnknownModelError, "Check the model's name and the address."),
    "LiteLLMUnknownProvider": (UnknownModelError, "Name models as 'provider/model'."),
    "APIResponseValidationError": (BadReplyError, "The provider answered rubbish."),
    "JSONDecodeError": (BadReplyError, "The provider answered rubbish."),
    "BadRequestError": (ModelRequestError, "The provider does not accept this request."),
    "UnprocessableEntityError": (ModelRequestError, "The provider does not accept this request."),
    "APIConnectionError": (ModelServerError, "Check that the server runs and can be reached."),
    "APIError": (ModelServerError, "The provider failed; try again."),
    "TransportError": (ModelServerError, "Check that the server runs and can be reached."),
}
"""Names along a foreign exception's class order, nearest first; with what to do."""

_OVERFLOW = re.compile(
    r"context (?:length|window|size)|maximum context|context_length_exceeded"
    r"|prompt is too long|input is too long|too many (?:input )?tokens",
    re.IGNORECASE,
)
_POLICY = re.compile(r"content_policy|content policy|content management policy|content_filter")
_FORBIDDEN = (401, 402, 403)
_NO_PROVIDER = "LLM Provider NOT provided"
_NO_CREDIT = re.compile(r"insufficient_quota|exceeded your current quota|credit balance")
_NO_KEY = re.compile(r"api_key client option must be set|Missing (?:\w+ )?(?:credentials|API key)")
_KEY = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|key|AIza|hf|r8)[-_][\w-]{6,}|\bAIza[\w-]{10,}|Bearer\s+\S+"
)
_PREFIX = re.compile(r"litellm\.\w+:\s*")


def to_ours(error: Exception, model: str, *, secrets: tuple[str, ...] = ()) -> ModelError:
    """Return the error of our tree that stands for a foreign one, with keys masked."""
    error = _cause(error)
    kind, advice = _kind(error)
    text = masked(_PREFIX.sub("", str(error)), secrets)
    text = text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "…"
    message = f"Model {model!r}: {text.strip() or type(error).__name__} {advice}"
    if kind is RateLimitedError:
        return RateLimitedError(message, retry_after_s=_retry_after_s(error))
    return kind(message)


def masked(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return `text` without the given secrets, nor anything that looks like a key."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _KEY.sub("***", text)


def _cause(error: Exception) -> Exception:
    """Return what broke a stream; LiteLLM wraps it."""
    inner = getattr(error, "original_exception", None)
    return inner if isinstance(inner, Exception) and inner is not error else error


def _kind(error: Exception) -> tuple[type[ModelError], str]:
    text = f"{error} {getattr(error, 'body', '')}"
    kind, advice = _named(error)
    unclear = kind in (ModelRequestError, ModelServerError)
    name = ""
    if _NO_KEY.search(text):
        name = "AuthenticationError"
    elif unclear and _OVERFLOW.search(text):
        name = "ContextWindowExceededError"
    elif unclear and _POLICY.search(text):
        name = "ContentPolicyViolationError"
    elif unclear and getattr(error, "status_code", 0) in _FORBIDDEN:
        name = "PermissionDeniedError"
    elif kind is RateLimitedError and _NO_CREDIT.search(text):
        name = "PaymentRequiredError"
    elif kind is ModelRequestError and _NO_PROVIDER in text:
        name = "LiteLLMUnknownProvider"
    return _BY_NAME[name] if name else (kind, advice)


def _named(error: Exception) -> tuple[type[ModelError], str]:
    for class_ in type(error).__mro__:
        if class_.__name__ in _BY_NAME:
            return _BY_NAME[class_.__name__]
    return BadReplyError, f"It cannot be read ({type(error).__name__})."


def _retry_after_s(error: Exception) -> float | None:
    headers: Any = getattr(error, "litellm_response_headers", None)
    headers = headers or getattr(getattr(error, "response", None), "headers", None)
    if not headers:
        return None
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers.get(name, "")) * scale)
        except ValueError:
            continue
    return None
