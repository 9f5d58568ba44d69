"""A max-pool that keeps little for its backward pass: where in its window every maximum lies.

PyTorch's own keeps the whole input, of which its backward pass needs no more than the shape, and eight bytes for every
maximum. Here it is one byte or two at the usual sizes, and what is handed on is the same in both directions.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Sizes = tuple[int, int, int]  # frames, rows, columns
DILATION = (1, 1, 1)
VECTOR = 64  # bytes, the widest of a CPU


class PoolWindow(NamedTuple):
    """What a max-pool looks at. Padding never wins: it is outside, not zero. Incomplete windows at the back count."""

    kernel: Sizes
    stride: Sizes
    padding: Sizes


def max_pool(x: Tensor, window: PoolWindow) -> Tensor:
    """(N, C, T, H, W) -> (N, C, T', H', W'), by PyTorch's own operation and with what that keeps."""
    return F.max_pool3d(x, *window, ceil_mode=True)


def compact_max_pool(x: Tensor, window: PoolWindow) -> Tensor:
    """The same as `max_pool`, and the same gradient, in the memory of a byte or two for every value of the result.

    It is `max_pool` where no gradient is asked for, and on a CPU where the channels do not fill whole vectors: for the
    rest PyTorch's kernel gives a window that is -inf throughout an index outside of it, which cannot be kept so short.
    """
    odd = x.device.type == "cpu" and x.shape[1] * x.element_size() % VECTOR > 0
    if odd or not (torch.is_grad_enabled() and x.requires_grad):
        return max_pool(x, window)
    return cast(Tensor, _CompactMaxPool.apply(x, window))  # type: ignore[no-untyped-call]  # PyTorch's own


class _CompactMaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, window: PoolWindow) -> Tensor:
        ctx.window, ctx.shape, ctx.layout = window, x.shape, _layout(x)
        # A slice of what could lie either way may be taken for the other one, so only what lies one way is sliced.
        ctx.by_clip = x.device.type == "cpu" and not x.is_contiguous() and ctx.layout is torch.channels_last_3d
        result, within = (_pool_clip_by_clip if ctx.by_clip else _pool_at_once)(x, window)
        ctx.save_for_backward(within)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (within,) = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=ctx.layout)
        # The operation takes the input and reads no more than its shape; clip by clip the gradient is written into it.
        like = torch.empty(ctx.shape, dtype=gradient.dtype, device=gradient.device, memory_format=ctx.layout)
        spread = _spread_clip_by_clip if ctx.by_clip else _spread_at_once
        return spread(gradient, within, like, ctx.window), None


def _pool_at_once(x: Tensor, window: PoolWindow) -> tuple[Tensor, Tensor]:
    """The pooled values, and how far from the first place of its window each lies: both (N, C, T', H', W')."""
    result, index = F.max_pool3d(x, *window, ceil_mode=True, return_indices=True)
    within = torch.empty_like(index, dtype=_smallest_integer(x.shape, window.kernel))
    return result, torch.sub(index, _window_starts(x.shape, result.shape, window, x.device), out=within)


def _spread_at_once(gradient: Tensor, within: Tensor, like: Tensor, window: PoolWindow) -> Tensor:
    """The gradient (N, C, T', H', W') at the places of the maxima: (N, C, T, H, W)."""
    index = within + _window_starts(like.shape, within.shape, window, within.device)  # int64, as the sum's other half
    spread: Tensor = torch.ops.aten.max_pool3d_with_indices_backward(gradient, like, *window, DILATION, True, index)
    return spread


def _pool_clip_by_clip(x: Tensor, window: PoolWindow) -> tuple[Tensor, Tensor]:
    """As `_pool_at_once`, in one small buffer for the indices: on a CPU fresh memory costs more than the arithmetic."""
    shape, layout = (len(x), x.shape[1], *_pooled_sizes(x.shape, window)), torch.channels_last_3d
    result = torch.empty(shape, dtype=x.dtype, memory_format=layout)
    within = torch.empty(shape, dtype=_smallest_integer(x.shape, window.kernel), memory_format=layout)
    index = torch.empty_like(within[:1], dtype=torch.int64)
    starts = _window_starts(x.shape, result.shape, window, x.device)
    for clip, pooled, distance in zip(x.split(1), result.split(1), within.split(1), strict=True):
        torch.ops.aten.max_pool3d_with_indices.out(clip, *window, DILATION, True, out=pooled, indices=index)
        distance.copy_(index.sub_(starts))
    return result, within


def _spread_clip_by_clip(gradient: Tensor, within: Tensor, like: Tensor, window: PoolWindow) -> Tensor:
    """As `_spread_at_once`, into `like`."""
    index = torch.empty_like(within[:1], dtype=torch.int64)
    starts = _window_starts(like.shape, within.shape, window, within.device)
    backward = torch.ops.aten.max_pool3d_with_indices_backward.grad_input
    for of_clip, distance, clip in zip(gradient.split(1), within.split(1), like.split(1), strict=True):
        index.copy_(distance).add_(starts)
        backward(of_clip, clip, *window, DILATION, True, index, grad_input=clip)
    return like


def _pooled_sizes(shape: torch.Size, window: PoolWindow) -> Sizes:
    """T', H', W'. An incomplete window at the back counts unless it begins in the padding there."""
    sizes = []
    for size, kernel, stride, padding in zip(shape[2:], *window, strict=True):
        count = -(-(size + 2 * padding - kernel) // stride) + 1
        sizes.append(count - 1 if (count - 1) * stride >= size + padding else count)
    return cast(Sizes, tuple(sizes))


def _window_starts(shape: torch.Size, result: torch.Size, window: PoolWindow, device: torch.device) -> Tensor:
    """(T', H', W'): where each window begins in the flat (T, H, W) of the input; before it, in the padding, below 0."""
    frames, rows, columns = (
        torch.arange(count, device=device) * stride - padding
        for count, stride, padding in zip(result[2:], window.stride, window.padding, strict=True)
    )
    _, _, _, height, width = shape
    return (frames[:, None, None] * height + rows[:, None]) * width + columns


def _smallest_integer(shape: torch.Size, kernel: Sizes) -> torch.dtype:
    """That holds the flat distance from the first to the last place of a window."""
    _, _, _, height, width = shape
    last = ((kernel[0] - 1) * height + kernel[1] - 1) * width + kernel[2] - 1
    return next(kind for kind in (torch.uint8, torch.int16, torch.int32, torch.int64) if last <= torch.iinfo(kind).max)


def _layout(x: Tensor) -> torch.memory_format:
    channels_last = x.is_contiguous(memory_format=torch.channels_last_3d)
    return torch.channels_last_3d if channels_last else torch.contiguous_format
