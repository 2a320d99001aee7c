"""Which requests get which policy, and whether it is enforced, measured or off."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Tag

from proxy.config_frozen import MODE_SHARE, ONE_MODE, Frozen, Glob, Share
from proxy.config_policy import PaysOver

Mode = Literal["enforce", "shadow", "off"]
"""``enforce``: compress; ``shadow``: measure, and send the original; ``off``: neither."""


class Rollout(Frozen):
    """A share of the conversations is compressed, the others run in shadow."""

    enforce: Share
    """``10%`` or 0.1. One that grows takes none back that was compressed before."""


def _kind_of_mode(value: object) -> str:
    return MODE_SHARE if isinstance(value, dict | Rollout) else ONE_MODE


ModeSetting = Annotated[
    Annotated[Rollout, Tag(MODE_SHARE)] | Annotated[Mode, Tag(ONE_MODE)],
    Discriminator(_kind_of_mode),
]


class Match(Frozen):
    """Globs that a request must match, all of them."""

    model: Glob = "*"
    tenant: Glob = "*"


class RouteSettings(Frozen):
    """First match wins; a request that matches none is forwarded untouched."""

    match: Match = Match()
    policy: str
    mode: ModeSetting = "enforce"
    """Where a tenant has a mode too, the more careful of both holds."""
    pays_over: PaysOver | None = None
    """Tokens from which compression pays for this route's models, as ``precis calibrate`` finds;
    shorter texts are left alone."""
