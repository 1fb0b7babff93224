"""Recognizers: one module per family of models, each answering a list of segments with as many hypotheses."""
