"""Attention with rotary positions along the last axis of an image. Nothing here is learned.

Rotary positions: Su et al. (2021), "RoFormer", https://arxiv.org/abs/2104.09864, equation 34.

Legend: b batch, c channel, n token, h head, d channel of one head.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

SLOWEST_PERIOD = 10_000.0  # tokens, over 2 pi


def attend(qkv: Tensor, heads: int, *, rotary: bool) -> Tensor:
    """Queries, keys and values (b, 3c, rows, n) -> (b, c, rows, n); the tokens of a row hear each other."""
    batch, channels, rows, tokens = qkv.shape
    size = channels // (3 * heads)
    qkv = qkv.reshape(batch, 3, heads, size, rows, tokens).permute(1, 0, 4, 2, 5, 3)
    queries, keys, values = qkv.reshape(3, batch * rows, heads, tokens, size)
    if rotary:
        queries, keys = rotate(queries), rotate(keys)
    heard = F.scaled_dot_product_attention(queries, keys, values)  # (b * rows, h, n, d)
    heard = heard.reshape(batch, rows, heads, tokens, size).permute(0, 2, 4, 1, 3)
    return heard.reshape(batch, heads * size, rows, tokens)


def rotate(x: Tensor) -> Tensor:
    """Turn pair i of the d channels of token m by the angle m * SLOWEST_PERIOD^(-2i/d); x is (..., n, d).

    The product of a turned query and a turned key then depends on the distance of their tokens alone.
    """
    tokens, size = x.shape[-2:]
    rates = SLOWEST_PERIOD ** (torch.arange(0, size, 2, device=x.device) / -size)
    angles = torch.arange(tokens, device=x.device)[:, None] * rates  # (n, d/2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)
