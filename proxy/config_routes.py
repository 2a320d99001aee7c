"""Which requests get which policy, and whether it is enforced, measured or off."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from proxy.config_frozen import MODE_SHARE, ONE_MODE, Frozen, Glob, Share
from proxy.config_policy import PaysOver, Rate

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


class GuardBudget(Frozen):
    """The most that comparing answers may take, of one route."""

    calls_per_hour: int = Field(default=60, ge=0)
    """Calls beside the clients' own; with a judge a comparison takes two."""
    usd_per_day: float | None = Field(default=None, ge=0)
    """Needs the model's prices: where they are not known, nothing is compared."""


class Guard(Frozen):
    """The quality guard: on some requests the original is sent too, and answers are compared."""

    sample: Share = 0.01
    """Of the compressed requests; ``1%`` or 0.01."""
    floor: float = Field(default=0.8, gt=0, lt=1)
    """Mean agreement below which the route's rate is raised by a step."""
    margin: float = Field(default=0.05, ge=0)
    """How far above the floor agreement has to be for a step to be taken back."""
    compare: Literal["f1", "exact", "judge"] = "f1"
    judge: Annotated[str | None, Field(validate_default=True)] = None
    """The model, of ``model_list``, that compares for ``compare: judge``."""
    budget: GuardBudget = GuardBudget()
    step: float = Field(default=0.1, gt=0, lt=1)
    ceiling: Rate = 0.9
    """The rate beyond which it is not raised."""
    min_samples: int = Field(default=20, ge=2)
    """Comparisons between two looks at whether to change."""
    cooldown_s: float = Field(default=21_600, ge=0)
    """Seconds between two changes, for each costs running conversations their cached prefix."""

    @field_validator("judge")
    @classmethod
    def _goes_with_compare(cls, judge: str | None, info: ValidationInfo) -> str | None:
        judged = info.data.get("compare") == "judge"
        if judged and judge is None:
            raise ValueError("is needed for compare: judge; give a model_name of model_list")
        if judge is not None and not judged:
            raise ValueError("is for compare: judge alone; set that, or leave the judge out")
        return judge

    @field_validator("margin")
    @classmethod
    def _can_be_reached(cls, margin: float, info: ValidationInfo) -> float:
        if info.data.get("floor", 0) + margin >= 0.99:
            raise ValueError(
                "added to the floor asks for more than answers can agree; both have to stay "
                "below 0.99"
            )
        return margin

    @property
    def calls(self) -> int:
        """Calls that one comparison takes."""
        return 2 if self.judge else 1


class RouteSettings(Frozen):
    """First match wins; a request that matches none is forwarded untouched."""

    match: Match = Match()
    policy: str
    mode: ModeSetting = "enforce"
    """Where a tenant has a mode too, the more careful of both holds."""
    pays_over: PaysOver | None = None
    """Tokens from which compression pays for this route's models, as ``precis calibrate`` finds;
    shorter texts are left alone."""
    guard: Guard | None = None
    """Off if not given."""

    @property
    def name(self) -> str:
        """``gpt-4* -> rag``, with the tenant if the route is for some only."""
        tenant = f" ({self.match.tenant})" if self.match.tenant != "*" else ""
        return f"{self.match.model}{tenant} -> {self.policy}"
