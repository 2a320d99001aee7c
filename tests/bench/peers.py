"""Peers' packages in virtual environments of their own, under the user's cache, reused there.

Nothing of a peer is installed beside Precis, so neither changes what the other resolves to.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Peer:
    """One environment: its name and what pip installs there."""

    name: str
    requirements: tuple[str, ...]
    packages: tuple[str, ...]
    """Distributions whose versions go into the results."""

    @property
    def folder(self) -> Path:
        """Changes with the requirements and the Python version, so that no stale one is used."""
        told = "\n".join((*self.requirements, sys.version))
        key = hashlib.sha256(told.encode()).hexdigest()[:8]
        return cache() / f"{self.name}-{key}"

    @property
    def scripts(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> str:
        return str(self.scripts / "python")

    def install(self) -> Peer:
        """Make the environment if it is not there yet. Raises CalledProcessError."""
        done = self.folder / "installed"
        if done.is_file():
            return self
        print(f"installing {', '.join(self.requirements)} into {self.folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", self.folder], check=True)
        pip = [self.python, "-m", "pip", "install", "--quiet", *self.requirements]
        subprocess.run(pip, check=True)
        done.touch()
        return self

    def versions(self) -> dict[str, str]:
        """The installed versions of ``packages``."""
        code = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
        asked = [self.python, "-c", code, *self.packages]
        told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        return dict(zip(self.packages, told.split(), strict=True))


@dataclass(frozen=True)
class NodePeer:
    """The same for a package from npm."""

    name: str
    package: str
    version: str

    @property
    def folder(self) -> Path:
        return cache() / f"{self.name}-{self.version}"

    @property
    def home(self) -> Path:
        """Where the package itself lies."""
        return self.folder / "node_modules" / self.package

    def install(self) -> NodePeer:
        """Raises CalledProcessError, or FileNotFoundError where there is no npm."""
        done = self.folder / "installed"
        if done.is_file():
            return self
        print(f"installing {self.package}@{self.version} into {self.folder}", flush=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(self.folder)]
        subprocess.run([*npm, f"{self.package}@{self.version}"], check=True)
        done.touch()
        return self

    def versions(self) -> dict[str, str]:
        """What was asked for is what was installed."""
        return {self.package: self.version}


HEADROOM = Peer("headroom", ("headroom-ai[proxy]==0.42.0",), ("headroom-ai",))
PORTKEY = NodePeer("portkey", "@portkey-ai/gateway", "1.15.2")
LITELLM = Peer("litellm", ("litellm[proxy]<1.109", "uvloop"), ("litellm", "uvicorn"))
LLMLINGUA = Peer(
    "llmlingua",
    # The last three are for our own export, which runs there on the same weights.
    (
        "torch==2.13.0",
        "llmlingua==0.2.2",
        "transformers",
        "onnxruntime",
        "onnx",
        "onnxscript",
        "httpx",
    ),
    ("llmlingua", "torch", "transformers", "onnxruntime"),
)


def cache() -> Path:
    """Where environments and built checkpoints stay between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "precis-bench"
