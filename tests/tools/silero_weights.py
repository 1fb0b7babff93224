"""Take the weights of Silero VAD for 16 kHz out of the package `silero-vad`: `python -m tests.tools.silero_weights`.

The package's model is TorchScript, which needs torch; the product computes the network in NumPy
(daemon/transcribed/ingest/preparation/silero_vad.py).  The package's own .safetensors hold other, older weights.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import torch

from transcribed.recognition import model_store

FOLDER = model_store.SILERO_FOLDER
KINDS = ("weight", "bias")
NAMES = {
    "fourier": "_model.stft.forward_basis_buffer",
    **{f"conv{n}.{kind}": f"_model.encoder.{n - 1}.reparam_conv.{kind}" for n in range(1, 5) for kind in KINDS},
    **{f"lstm.{name}": f"_model.decoder.rnn.{name}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
    **{f"last.{kind}": f"_model.decoder.decoder.2.{kind}" for kind in KINDS},
}


def main() -> None:
    package = importlib.metadata.distribution("silero-vad")
    model = torch.jit.load(str(package.locate_file("silero_vad/data/silero_vad.jit")))
    known = model.state_dict()
    np.savez(FOLDER / model_store.SILERO_WEIGHTS, **{name: known[key].numpy() for name, key in NAMES.items()})
    (licence,) = (path for path in package.files or () if path.name == "LICENSE")
    (FOLDER / "LICENSE").write_text(Path(str(licence.locate())).read_text())
    model_store.record(FOLDER, name=f"silero-vad {package.version}", credit="Silero VAD by Silero Team", licence="MIT")


if __name__ == "__main__":
    main()
