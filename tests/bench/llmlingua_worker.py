"""``llmlingua`` in a process of its own: a JSON line in, a JSON line out.

``python llmlingua_worker.py FOLDER`` runs in the peers' environment. Each line in is
``{"text", "rate"}``, each line out ``{"seconds", "tokens_after"}``; the version comes out first.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

from llmlingua import PromptCompressor


def main(folder: str) -> None:
    """Answers until standard input ends."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what the package prints must not get between the answers
    compressor = PromptCompressor(folder, device_map="cpu", use_llmlingua2=True)
    print(json.dumps({"version": version("llmlingua")}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.perf_counter()
        # Without its filter over contexts, which would score a single text a second time.
        result = compressor.compress_prompt_llmlingua2(
            [asked["text"]], rate=asked["rate"], use_context_level_filter=False
        )
        seconds = time.perf_counter() - started
        told = {"seconds": seconds, "tokens_after": result["compressed_tokens"]}
        print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
