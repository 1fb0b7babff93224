"""Run the network of SenseVoiceSmall, and the encoder of Paraformer: FunASR's weights in a shorter computation.

FunASR masks where no mask is needed, convolves between two transposes, and takes the logarithm of 25,055 classes of
every frame.  Here a block is six matrix products, one convolution and little else, in 16 bits if the processor supports
it.  A test holds it equal to FunASR's own.  Knows tensors; nothing of audio, options or words.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from transcribed.recognition.models.precision import fast_products

_HEAD_ROWS, _HEAD_ROWS_GPU = 256, 512  # frames per pass of the output layer: about the cache, within 50 MB


class Encoder:
    """SenseVoiceSmall's network.  Changes the module's weights in place: the module cannot be used afterwards."""

    def __init__(self, module: Any, dtype: torch.dtype) -> None:
        encoder = module.encoder
        earlier = (*encoder.encoders0, *encoder.encoders), encoder.after_norm
        self._sanm = Sanm([earlier, (encoder.tp_encoders, encoder.tp_norm)], dtype)
        self._head: nn.Linear = module.ctc.ctc_lo

    def __call__(self, frames: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return the likeliest token of every frame and its posterior, ids also as float32, for a single transfer.

        float32 (rows, frames, width), of which `lengths` are valid -> float32 (2, rows, frames).
        """
        with fast_products(frames.device, self._sanm.dtype), without_plans():
            return likeliest(self._head, self._sanm(frames, lengths))


class Sanm:
    """FunASR's encoders of SAN-M blocks, on unprojected frames with sinusoidal positions added.

    Matrix products are in `dtype`; the residual sum and the norms stay float32, as the output layer should, or frames
    with nearly tied tokens would change theirs.  Changes the layers' weights in place.
    """

    def __init__(self, groups: Sequence[tuple[Iterable[Any], nn.Module]], dtype: torch.dtype) -> None:
        """`groups`: layers and the norm after them, one group after the other."""
        self._groups = [([_Block(layer, dtype) for layer in layers], norm) for layers, norm in groups]
        self._scale = self._groups[0][0][0].size ** 0.5
        self.dtype = dtype

    def __call__(self, frames: Tensor, lengths: Sequence[int]) -> Tensor:
        """Encode float32 (rows, frames, width), of which `lengths` are valid, to float32 (rows, frames, size)."""
        padding = padding_of(frames, lengths)
        x: Tensor = frames * self._scale + _positions(frames)
        for blocks, norm in self._groups:
            for block in blocks:
                x = block(x, padding)
            x = norm(x)
        return x


def likeliest(head: nn.Linear, encoded: Tensor) -> Tensor:
    """Reduce float32 (rows, frames, size) to the likeliest class and its posterior: float32 (2, rows, frames).

    Computed in parts: the logits of all frames would take more memory than everything else.
    """
    parts = torch.split(encoded.flatten(0, 1), _HEAD_ROWS_GPU if encoded.is_cuda else _HEAD_ROWS)
    return torch.cat([_best(head(part)) for part in parts], 1).view(2, *encoded.shape[:2])


@contextlib.contextmanager
def without_plans() -> Iterator[None]:
    """Disable cuDNN, which makes a plan for every new batch shape: measured on an H200, 0.2 s each, four times as long
    as the batch.  Hardly two batches have the same shape.
    """
    kernels = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    with torch.backends.cudnn.flags(enabled=False), sdpa_kernel(kernels):
        yield


class _Block:
    """SAN-M: self-attention plus a memory of neighbouring frames (Gao et al. 2020, arXiv 2006.01713), then a two-layer
    feed-forward network per frame.
    """

    def __init__(self, layer: Any, dtype: torch.dtype) -> None:
        attention, feed_forward = layer.self_attn, layer.feed_forward
        _scale_queries(attention)
        self._heads: int = attention.h
        self._norm1, self._norm2 = layer.norm1, layer.norm2
        self._qkv, self._out = attention.linear_q_k_v.to(dtype), attention.linear_out.to(dtype)
        self._up, self._down = feed_forward.w_1.to(dtype), feed_forward.w_2.to(dtype)
        self._taps = _taps(attention).to(dtype)
        self.size: int = layer.size
        self._adds = layer.in_size == layer.size  # the first block does not: it changes the width
        self._dtype = dtype

    def __call__(self, x: Tensor, padding: Tensor | None) -> Tensor:
        """Map float32 (rows, frames, size), which may be overwritten, to the same shape."""
        qkv = self._qkv(self._norm1(x).to(self._dtype))
        y = self._out(_attend(qkv, self._heads, padding)).add_(self._remember(qkv, padding))
        x = x.add_(y) if self._adds else y.float()
        hidden = functional.relu_(self._up(self._norm2(x).to(self._dtype)))
        return x.add_(self._down(hidden))

    def _remember(self, qkv: Tensor, padding: Tensor | None) -> Tensor:
        """Sum each channel of the values, (rows, frames, size), over its neighbours in time by learned weights."""
        values = qkv.chunk(3, -1)[2]
        if padding is not None:
            values = values.masked_fill(padding[:, :, None], 0.0)
        image = values.unsqueeze(1).permute(0, 3, 1, 2)  # (rows, size, 1, frames), in memory channels last: no copy
        reach = self._taps.shape[-1] // 2
        memory = functional.conv2d(image, self._taps, padding=(0, reach), groups=image.shape[1])
        return memory.permute(0, 2, 3, 1).squeeze(1)


def _attend(qkv: Tensor, heads: int, padding: Tensor | None) -> Tensor:
    """Apply attention with pre-scaled queries: (rows, frames, 3 * size) -> (rows, frames, size)."""
    rows, frames, _ = qkv.shape
    q, k, v = qkv.view(rows, frames, 3, heads, -1).permute(2, 0, 3, 1, 4)  # (rows, heads, frames, size / heads)
    if qkv.is_cuda:
        mask = None if padding is None else ~padding[:, None, None]
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
    else:  # twice as fast as PyTorch's fused attention for the CPU
        scores = torch.matmul(q, k.transpose(-2, -1))
        if padding is not None:
            scores.masked_fill_(padding[:, None, None], -torch.inf)
        y = torch.matmul(scores.softmax(-1), v)
    return y.transpose(1, 2).flatten(2)


def _best(logits: Tensor) -> Tensor:
    """Reduce float32 (frames, classes), overwritten, to float32 (2, frames): the likeliest class and its posterior."""
    best = logits.argmax(-1, keepdim=True)
    odds = logits.sub_(logits.gather(1, best)).exp_().sum(-1)
    return torch.stack((best[:, 0].float(), odds.reciprocal()))


def padding_of(frames: Tensor, lengths: Sequence[int]) -> Tensor | None:
    """Return a mask of the frames beyond each row's end, bool (rows, frames); None if there are none."""
    count = frames.shape[1]
    if min(lengths) == count:
        return None
    return torch.arange(count, device=frames.device) >= torch.tensor(lengths, device=frames.device)[:, None]


def _positions(frames: Tensor) -> Tensor:
    """Return sines and cosines of positions 1, 2, ..., wavelengths 1 to 10,000 radians: float32 (frames, width)."""
    count, width = frames.shape[1:]
    places = torch.arange(1, count + 1, device=frames.device, dtype=torch.float32)
    rates = torch.logspace(0, -4, width // 2, device=frames.device)
    angles = places[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), 1)


@torch.no_grad()
def _scale_queries(attention: Any) -> None:
    """Divide the queries by the root of their size once, in the weights, instead of in every batch."""
    linear, size = attention.linear_q_k_v, attention.h * attention.d_k
    linear.weight[:size] *= attention.d_k**-0.5
    linear.bias[:size] *= attention.d_k**-0.5


@torch.no_grad()
def _taps(attention: Any) -> Tensor:
    """Return the memory's weights, (size, 1, 1, taps), symmetric in reach, with 1 added for the frame itself."""
    left, right = attention.pad_fn.padding
    reach = max(left, right)
    taps = functional.pad(attention.fsmn_block.weight, (reach - left, reach - right))
    taps[:, :, reach] += 1.0
    return taps[:, :, None]
