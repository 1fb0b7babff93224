"""Recognizers: one module per family of models; each returns one hypothesis per segment."""
