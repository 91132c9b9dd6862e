"""The classifier itself: base encoder, bundle, calibration, scoring engine, documents, registry."""
