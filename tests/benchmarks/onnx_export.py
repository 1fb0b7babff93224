"""A SenseVoiceSmall directory as sherpa-onnx wants it: the network as ONNX, in float32 and in 8 bits, and its tokens.

What the files must say follows sherpa-onnx's own script, scripts/sense-voice/export-onnx.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.tools.demo_model import package
from transcribed.recognition.models.loading import load

EXACT, SMALL, TOKENS = "model.onnx", "model.int8.onnx", "tokens.txt"
INPUTS = ["x", "x_length", "language", "text_norm"]
OPSET = 13


class _Network(nn.Module):
    """Features and what is asked -> logits, (rows, frames + 4, classes)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, x_length: Tensor, language: Tensor, text_norm: Tensor) -> Tensor:
        ask = self.model.embed
        fixed = ask(torch.tensor([[1, 2]])).repeat(x.size(0), 1, 1)
        frames = torch.cat((ask(language).unsqueeze(1), fixed, ask(text_norm).unsqueeze(1), x), 1)
        encoded, _ = self.model.encoder(frames, x_length + 4)
        return self.model.ctc.ctc_lo(encoded)


def export(model: Path, folder: Path) -> Path:
    """The folder of the exported model, made if it is not there."""
    if not folder.exists():
        package.install(folder, lambda new: _write(model, new))
    return folder


def _write(model: Path, folder: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    loaded, kwargs = load(model, "cpu", threads=2)
    _write_network(loaded, folder / EXACT)
    network = onnx.load(folder / EXACT)
    onnx.helper.set_model_props(network, _facts(loaded, kwargs))
    onnx.save(network, folder / EXACT)
    # 8 bits without a sign, and matrix products alone: what sherpa-onnx's own models are
    quantize_dynamic(folder / EXACT, folder / SMALL, op_types_to_quantize=["MatMul"], weight_type=QuantType.QUInt8)
    pieces = kwargs["tokenizer"].sp
    lines = (f"{pieces.IdToPiece(number)} {number}\n" for number in range(pieces.GetPieceSize()))
    (folder / TOKENS).write_text("".join(lines), encoding="utf-8")


@torch.no_grad()
def _write_network(model: Any, path: Path) -> None:
    width = model.embed.embedding_dim
    lengths, zeros = torch.tensor([80, 100], dtype=torch.int32), torch.zeros(2, dtype=torch.int32)
    torch.onnx.export(
        _Network(model).eval(),
        (torch.randn(2, 100, width), lengths, zeros, zeros + 15),
        path,
        opset_version=OPSET,
        input_names=INPUTS,
        output_names=["logits"],
        dynamic_axes={name: {0: "N"} for name in INPUTS} | {name: {0: "N", 1: "T"} for name in ("x", "logits")},
        dynamo=False,
    )


def _facts(model: Any, kwargs: dict[str, Any]) -> dict[str, str]:
    """What sherpa-onnx reads from the file: features, languages, styles."""
    shift, scale = kwargs["frontend"].cmvn
    facts = {
        "model_type": "sense_voice_ctc",
        "lfr_window_size": kwargs["frontend"].lfr_m,
        "lfr_window_shift": kwargs["frontend"].lfr_n,
        "normalize_samples": 0,  # samples are numbers of 16 bits
        "neg_mean": ",".join(map(str, shift.tolist())),
        "inv_stddev": ",".join(map(str, scale.tolist())),
        "vocab_size": model.vocab_size,
        "with_itn": model.textnorm_dict["withitn"],
        "without_itn": model.textnorm_dict["woitn"],
    }
    languages = {f"lang_{name}": number for name, number in model.lid_dict.items()}
    return {name: str(value) for name, value in (facts | languages).items()}
