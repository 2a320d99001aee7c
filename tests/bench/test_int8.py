"""The int8 limit's operations, counted by hand."""

from __future__ import annotations

from pathlib import Path

from tests.bench.int8 import Products, Shape

MINILM = Shape(layers=6, width=384, inner=1536)


def test_operations_are_those_of_all_matrix_products() -> None:
    weights = 4 * 384 * 384 + 2 * 384 * 1536
    attention = 2 * 256 * 384  # a token's scores and its mix of values
    assert MINILM.operations(256) == 6 * 2 * (weights + attention)


def test_the_shape_is_read_off_a_checkpoint(tmp_path: Path) -> None:
    config = '{"num_hidden_layers": 6, "hidden_size": 384, "intermediate_size": 1536}'
    (tmp_path / "config.json").write_text(config)
    assert Shape.of(tmp_path) == MINILM


def test_products_run() -> None:
    products = Products(Shape(1, 32, 64), 16)
    assert products.per_second() > 0
    products.close()
