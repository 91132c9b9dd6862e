"""Codebook, corpus, and all that reads, checks and splits labelled text."""
