"""What every part of the configuration is made of: the frozen model and fields of many."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

_SECRET = re.compile(r"(?i)(^|[_-])(api_?key|keys?|secret|password|authorization)([_-]|$)")
_SECRET_END = re.compile(r"(?i)(token|credentials?|extra_headers)$")

Glob = Annotated[str, StringConstraints(min_length=1)]
KeyHash = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]

ONE_RATE, RATE_STEPS = "<one rate>", "<rate steps>"
ONE_MODE, MODE_SHARE = "<one mode>", "<mode by share>"
TAGS = frozenset((ONE_RATE, RATE_STEPS, ONE_MODE, MODE_SHARE))
"""Tags that pydantic puts into an error's place, to be left out of what a person reads."""


def is_secret(name: str) -> bool:
    """Whether a setting of that name holds something that must not be shown."""
    return bool(_SECRET.search(name) or _SECRET_END.search(name))


class Frozen(BaseModel):
    """No change after validation, no unknown keys, secrets hidden in errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )


_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


def _share(value: object) -> object:
    percent = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return float(percent[1]) / 100 if percent else value


Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]
"""``10%`` or 0.1."""
