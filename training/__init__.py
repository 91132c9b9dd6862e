"""Corpus and base encoder in, bundle out."""
