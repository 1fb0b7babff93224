"""Small models of FunASR's own classes for the tests: a Seaco-Paraformer and a CT-Transformer.

`python -m tests.tools.small_models` makes speech with espeak-ng, trains both on two cores in about half an hour, and
writes the folders beside this file, in the layout of the public models.  A run gives similar figures, not the same
weights.
"""

from pathlib import Path

SEACO = Path(__file__).with_name("seaco_paraformer")
CT_TRANSFORMER = Path(__file__).with_name("ct_transformer")
