"""The classifier itself: base encoder, bundle, calibration, scoring engine, documents, registry."""

import sys

# Importing openvino forks a process that reports to Google Analytics, and so would each export. It
# does without where this package, which it requires, does not import.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
