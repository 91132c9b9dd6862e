"""A bundle's exported graph on the CPU, through OpenVINO."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov

from models.bundle import GRAPH, Precision

PAD_MULTIPLE = 8
"""bf16 products over fewer distinct lengths run about a tenth faster; f32 ones run alike."""


def padded(tokens: int) -> int:
    """The length that a row of this many tokens has at least once it is padded."""
    return -(-tokens // PAD_MULTIPLE) * PAD_MULTIPLE


class CpuNetwork:
    """The graph, compiled for this machine's CPU with one stream a core.

    `native` is bf16 where the CPU has AMX or AVX512-BF16, and f32 elsewhere.
    """

    batch_tokens = 512

    def __init__(self, bundle: Path, precision: Precision = "native") -> None:
        core = ov.Core()
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = "bf16" if has_bf16 and precision == "native" else "f32"
        self._network = core.compile_model(
            core.read_model(bundle / GRAPH),
            "CPU",
            {
                "PERFORMANCE_HINT": "THROUGHPUT",
                "INFERENCE_PRECISION_HINT": self.precision,
                # A thread that may not move waits for whatever else runs on its core, such as
                # the service's own event loop.
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._of_thread = threading.local()
        self.streams = int(self._network.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.labels = int(self._network.output(0).partial_shape[1].get_length())
        # The first look at a tensor makes the bindings load what they know of numpy, and two
        # threads that have the first look at once wait for each other for ever. (pybind11 guards
        # that with a lock which it takes while it holds the interpreter's.)
        self.infer([[0]])

    def infer(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Logits of shape (rows, labels) from token ids; may be called from several threads."""
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._network.create_infer_request()
        ids, mask = pad(rows)
        out = self._of_thread.request.infer({"input_ids": ids, "attention_mask": mask})[0]
        return np.array(out, np.float32)  # the request's next result overwrites its own


def pad(
    rows: Sequence[Sequence[int]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Token ids and attention mask, of shape (rows, padded tokens), zero past a row's end."""
    lengths = np.array([len(row) for row in rows])
    mask = (np.arange(padded(lengths.max())) < lengths[:, None]).astype(np.int64)
    ids = np.zeros_like(mask)
    ids[mask.astype(bool)] = [token for row in rows for token in row]
    return ids, mask
