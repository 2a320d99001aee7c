"""The last look before anything is sent: verify what was compressed, or put the original back.

Pure, and independent of the marks that the compressor was given where that matters: what must
survive is looked for once more, in the original text.
"""

from proxy.gate.gone import contexts_gone, without_gone
from proxy.gate.request import verify_request
from proxy.gate.verify import CHECKS, verify

__all__ = ["CHECKS", "contexts_gone", "verify", "verify_request", "without_gone"]
