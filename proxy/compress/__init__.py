"""Text in, shorter text out: windows, scores, words, budget."""

from proxy.compress.compressor import Compressor
from proxy.types import Compressed

__all__ = ["Compressed", "Compressor"]
