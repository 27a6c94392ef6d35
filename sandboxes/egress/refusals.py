"""Why something does not pass, in words for programs and for models."""

import enum
import json
from collections.abc import Sequence

_PHRASE_CHARS = 300
_SHOWN_ENTRIES = 50


class Reason(enum.StrEnum):
    """What stands in the way; the first word of what a sandbox and its log are told."""

    BAD_REQUEST = "bad_request"
    HOST = "host_not_allowed"
    PORT = "port_not_allowed"
    METHOD = "method_not_allowed"
    ADDRESS = "address_not_public"
    NOT_TLS = "tls_expected"
    TLS_NAME = "tls_name_differs"
    UPLOAD = "upload_limit"
    DOWNLOAD = "download_limit"
    CONNECTIONS = "too_many_connections"
    NO_NAME = "name_not_found"
    UNREACHABLE = "unreachable"
    SILENT = "idle"


_FAULTS = {Reason.NO_NAME: 502, Reason.UNREACHABLE: 502, Reason.SILENT: 504}
_STATUSES = _FAULTS | {Reason.BAD_REQUEST: 400, Reason.CONNECTIONS: 429}
_PHRASES = {
    400: "Bad Request",
    403: "Forbidden By Policy",
    429: "Too Many Connections",
    502: "Bad Gateway",
    504: "Gateway Timeout",
}
_POLICY = (
    "This is a policy of the sandbox, set by its operator. Asking again, or by another way, "
    "will not help."
)


class RefusedError(Exception):
    """Something does not pass."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def answer(refused: RefusedError, allowed: Sequence[str], methods: Sequence[str]) -> bytes:
    """Return the HTTP response that tells a program why, and what is allowed.

    Tools that open a tunnel show the first line only, so it holds the reason.
    """
    status = _STATUSES.get(refused.reason, 403)
    told: dict[str, object] = {
        "error": "egress_failed" if refused.reason in _FAULTS else "egress_denied",
        "reason": refused.reason,
        "detail": refused.detail,
    }
    if refused.reason not in _FAULTS:
        told |= {
            "policy": _POLICY,
            "allowed_hosts": list(allowed[:_SHOWN_ENTRIES]),
            "allowed_methods": ["CONNECT", *methods],
        }
    body = json.dumps(told, indent=1).encode() + b"\n"
    phrase = _printable(f"{_PHRASES[status]} ({refused})")
    head = (
        f"HTTP/1.1 {status} {phrase[:_PHRASE_CHARS]}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"X-Strop-Egress: {refused.reason}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _printable(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text)
