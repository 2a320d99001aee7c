"""Every error that Precis raises, in one tree, split by whose fault it is.

::

    PrecisError
    ├── CallerError            the request is wrong                     4xx
    │   ├── BadRequest         malformed, missing or wrong fields       400
    │   ├── Unauthorized       no key, or one that nobody has           401
    │   ├── Forbidden          a known tenant asks for what it may not  403
    │   ├── NotFound           no such route, model or receipt          404
    │   ├── MethodNotAllowed   the route exists, the method does not    405
    │   ├── TooLarge           the body is over the limit               413
    │   └── HeadTooLarge       its headers are                          431
    ├── LimitError             the tenant's limit or a full queue       429
    ├── UpstreamError          the model's provider failed              502
    │   └── UpstreamTimeout    ... by not answering in time             504
    ├── CompressionError       our own failure while compressing        500
    │   └── DeadlineExceeded   ... by not ending in time                504
    ├── CheckpointError        a model directory that cannot be used
    └── ConfigError            a configuration that cannot be used

``message`` says what is wrong and what to do about it; it never holds prompt text or a key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class PrecisError(Exception):
    """Base of all errors here. Renders itself as the body that OpenAI's clients know."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: str = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code

    def body(self) -> dict[str, dict[str, str | None]]:
        """``{"error": {"message", "type", "param", "code"}}``; ``code`` is always a string."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class CallerError(PrecisError):
    """The request is wrong; sending it again unchanged will fail again."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class BadRequest(CallerError):
    """The body is malformed, misses a field, or has one of the wrong type."""


class Unauthorized(CallerError):
    """No key, or a key that no tenant has."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(CallerError):
    """The tenant is known but may not do this."""

    status = 403
    type = "permission_error"
    code = "permission_denied"


class NotFound(CallerError):
    """No such route, model or receipt."""

    status = 404
    code = "not_found"


class MethodNotAllowed(CallerError):
    """The route exists, but not with this method."""

    status = 405
    code = "method_not_allowed"


class TooLarge(CallerError):
    """The body is over ``server.max_body_mb``."""

    status = 413
    code = "request_too_large"


class HeadTooLarge(CallerError):
    """The request's target and headers are over what a request may have."""

    status = 431
    code = "headers_too_large"


class LimitError(PrecisError):
    """A limit of the tenant's, or a full queue; later may work."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retry_after: int = 1,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        """``retry_after``: seconds; ``headers``: what else the answer says about the limit."""
        super().__init__(message, code=code)
        self.retry_after = retry_after
        self.headers = tuple(headers)


class UpstreamError(PrecisError):
    """The provider could not be reached, or broke the protocol."""

    status = 502
    type = "upstream_error"
    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """The provider did not answer in time."""

    status = 504
    code = "upstream_timeout"


class CompressionError(PrecisError):
    """Compression failed; with ``on_error: pass`` the original goes upstream instead."""

    code = "compression_failed"


class DeadlineExceeded(CompressionError):
    """Compression did not end within the policy's ``deadline_ms``."""

    status = 504
    code = "compression_deadline"


class CheckpointError(PrecisError):
    """A model directory or hub id that cannot be used; the message says what it lacks."""

    code = "bad_checkpoint"


class ConfigError(PrecisError):
    """A configuration that cannot be used; ``problems`` has one line each, with its place."""

    code = "bad_config"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
