"""LiteLLM's headroom guardrail as a process of its own: cases on standard input, results out.

It is part of LiteLLM's proxy, whose web framework need not be installed: of that the guardrail
takes but the exception, which is a subclass of Starlette's, so that one does where it is missing.

A line ``{"api_base", "inputs", "request_data", ...}`` gives a line: ``{"inputs", "logged"}`` with
what would go on to the model and what LiteLLM's log tells of the guardrail, or ``{"refused"}`` with
status and detail. Other fields are the guardrail's own settings.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from starlette.exceptions import HTTPException

if find_spec("fastapi") is None:
    framework = ModuleType("fastapi")
    framework.HTTPException = HTTPException  # type: ignore[attr-defined]
    sys.modules["fastapi"] = framework

from litellm.proxy.guardrails.guardrail_hooks.headroom.headroom import HeadroomGuardrail


async def result(
    api_base: str, inputs: dict[str, Any], request_data: dict[str, Any], **settings: Any
) -> dict[str, Any]:
    """What the guardrail makes of a request."""
    guardrail = HeadroomGuardrail(
        api_base=api_base, guardrail_name="precis", event_hook="pre_call", **settings
    )
    try:
        found = await guardrail.apply_guardrail(inputs, request_data, "request")
    except HTTPException as exc:
        return {"refused": [exc.status_code, exc.detail]}
    logged = request_data["metadata"].get("standard_logging_guardrail_information", [])
    return {"inputs": found, "logged": logged}


async def main() -> None:
    """One case after the other."""
    for line in sys.stdin:
        print(json.dumps(await result(**json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
