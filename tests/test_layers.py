"""Imports point one way, as the design says, and heavy packages stay where they are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "proxy"
LAYERS = (
    "__version__ errors spans types reading sqlite_files tokens prices json_path "
    "config config_frozen config_policy config_routes config_server config_tenants "
    "config_upstreams config_compressor "
    "config_checks config_file config_words config_yaml config_edit",
    "messages routing compress upstream tenants ledger guard",
    "gate reply",
    "api web train",
    "app",
    "cli",
    "__main__",
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names.split()}
ALONE = frozenset("litellm onnxruntime torch ray redis sqlalchemy".split())
"""Packages that one file each may import; train/ is a workshop of its own."""
STARLETTE = frozenset("api web reply app".split())


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether it does so inside a function."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    lazy = {id(inner) for function in functions for inner in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: write imports out in full"
            base = node.module or ""
            names = (f"{base}.{a.name}" for a in node.names) if base == "proxy" else (base,)
            yield from ((name, id(node) in lazy) for name in names)


def wrong(own: str, module: str, lazy: bool) -> str:
    """What is wrong with this import in a file of that part, if anything is."""
    top, _, rest = module.partition(".")
    other = rest.split(".")[0]
    if top == "starlette" and own not in STARLETTE:
        return f"starlette belongs to {', '.join(sorted(STARLETTE))}"
    if top != "proxy" or other == own:
        return ""
    if other == "train":
        return "" if own == "cli" and lazy else "only cli imports train, and in a function"
    # Leaves may import one another, peers above them may not.
    return f"{own} may not import {other}" if RANKS[other] >= max(RANKS[own], 1) else ""


def complaints(package: Path) -> Iterator[str]:
    """One line for each import that breaks a rule."""
    users: dict[str, set[str]] = {}
    for file in sorted(package.rglob("*.py")):
        place = file.relative_to(package).as_posix()
        own = place.split("/")[0].removesuffix(".py")
        if own == "__init__":
            continue  # the version, and nothing to import
        for module, lazy in imports(file):
            if problem := wrong(own, module, lazy):
                yield f"{place}: {problem}"
            if (top := module.partition(".")[0]) in ALONE and own != "train":
                users.setdefault(top, set()).add(place)
    for name, places in users.items():
        if len(places) > 1:
            yield f"{name} is imported by {', '.join(sorted(places))}"


def test_imports_point_one_way() -> None:
    assert not list(complaints(PACKAGE))
    assert len(list(PACKAGE.rglob("*.py"))) > 50, "looked at the wrong place"


def write(file: Path, source: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(source)


@pytest.mark.parametrize(
    "place,line",
    [
        ("errors.py", "from proxy.routing import route"),
        ("types.py", "from proxy import gate"),
        ("config.py", "import proxy.api.chat"),
        ("messages/body.py", "from proxy.compress.words import split"),
        ("ledger/receipts.py", "def f():\n    from proxy.tenants import Tenants"),
        ("gate.py", "from proxy.reply import Relay"),
        ("reply.py", "from proxy.api.parts import Visit"),
        ("api/chat.py", "from proxy.app import build"),
        ("api/chat.py", "import proxy.train.fit"),
        ("cli/train.py", "from proxy.train import fit"),
        ("app.py", "def f():\n    from proxy.train import fit"),
        ("gate.py", "from starlette.requests import Request"),
        ("compress/other.py", "import onnxruntime\nimport torch"),
        ("upstream/other.py", "def f():\n    import litellm.utils"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, place: str, line: str) -> None:
    good = {
        "types.py": "import re",
        "config.py": "from proxy.types import Span",
        "compress/onnx.py": "import onnxruntime",
        "upstream/litellm.py": "def f():\n    import litellm",
        "gate.py": "from proxy.compress import Compressor\nfrom proxy import types",
        "api/chat.py": "from starlette.requests import Request\nfrom proxy.gate import verify",
        "cli/train.py": "def f():\n    from proxy.train import fit",
        "train/fit.py": "import torch\nfrom proxy.compress import Compressor",
        "train/occlusion.py": "import torch",
    }
    for name, source in good.items():
        write(tmp_path / name, source)
    assert not list(complaints(tmp_path))
    write(tmp_path / place, line)
    assert len(list(complaints(tmp_path))) == 1
