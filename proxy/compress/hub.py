"""Fetches a checkpoint from the Hugging Face hub, or finds it in the hub's own cache.

Fetches data only: configuration, tokenizer and weights, never code.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from proxy.errors import CheckpointError

_WANTED = ("*.json", "*.txt", "*.model", "model*.onnx", "model.onnx[._]data", "*.safetensors")
_PICKLE = ("pytorch_model*.bin",)
_TIMEOUT = 10.0
"""Seconds that the hub may take for an answer; without it a silent network hangs the start."""


def fetch(model: str) -> Path:
    """The directory with the newest files of the hub's ``model`` (``owner/name``).

    Without a network, what was fetched before. Raises CheckpointError with a remedy.
    """
    from huggingface_hub import HfApi, errors, hf_hub_download  # heavy, and only for hub ids

    try:
        info = HfApi().model_info(model, timeout=_TIMEOUT)
        files = wanted([sibling.rfilename for sibling in info.siblings or ()])
        # Not by commit: only a branch's name lets the cache be found again without a network.
        paths = [Path(hf_hub_download(model, file, etag_timeout=_TIMEOUT)) for file in files]
    except errors.GatedRepoError as exc:
        raise CheckpointError(
            f"{model!r} is gated on the hub; ask for access on its page, then log in: hf auth login"
        ) from exc
    except errors.RepositoryNotFoundError as exc:
        raise CheckpointError(
            f"the hub has no model {model!r}, or it is private; check the name, or log in: "
            "hf auth login. A directory of that name does not exist here either"
        ) from exc
    # The hub's package changes its HTTP client now and then; this name is the one in use.
    except (errors.HTTPError, OSError, ValueError) as exc:  # type: ignore[attr-defined]
        return _fetched_before(model, exc)
    if not paths:
        raise CheckpointError(f"the hub's {model!r} has no configuration and no weights")
    return paths[0].parent


def wanted(names: list[str]) -> list[str]:
    """The files of a repository's top folder to fetch; pickle only where there is nothing else."""
    top = [name for name in names if "/" not in name]
    found = [name for name in top if any(fnmatchcase(name, glob) for glob in _WANTED)]
    if not any(name.endswith((".safetensors", ".onnx")) for name in found):
        found += [name for name in top if any(fnmatchcase(name, glob) for glob in _PICKLE)]
    return found


def _fetched_before(model: str, cause: Exception) -> Path:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "config.json")
    except HFValidationError:
        found = None
    if not isinstance(found, str):
        raise CheckpointError(
            f"no directory {model!r} here, and the hub could not be asked for it "
            f"({type(cause).__name__}); check the name and the network, or download it elsewhere "
            "(hf download) and give its directory"
        ) from cause
    return Path(found).parent
