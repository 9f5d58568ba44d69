"""A max-pool that keeps little for its backward pass: where in its window every maximum lies.

PyTorch's own keeps the whole input, of which its backward pass needs no more than the shape, and eight bytes for every
maximum. Here it is one byte or two, and what is handed on, down to the bit, is the same in both directions.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Sizes = tuple[int, int, int]  # frames, rows, columns
DILATION = (1, 1, 1)


class Window(NamedTuple):
    """What a max-pool looks at. Padding never wins: it is outside, not zero. Incomplete windows at the back count."""

    kernel: Sizes
    stride: Sizes
    padding: Sizes


def max_pool(x: Tensor, window: Window) -> Tensor:
    """(N, C, T, H, W) -> (N, C, T', H', W'), by PyTorch's own operation and with what that keeps."""
    return F.max_pool3d(x, *window, ceil_mode=True)


def compact_max_pool(x: Tensor, window: Window) -> Tensor:
    """The same as `max_pool`, and the same gradient, in the memory of a byte or two for every value of the result."""
    if not (torch.is_grad_enabled() and x.requires_grad):
        return max_pool(x, window)
    return cast(Tensor, _CompactMaxPool.apply(x, window))


class _CompactMaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Window) -> Tensor:
        result, index = F.max_pool3d(x, *window, ceil_mode=True, return_indices=True)
        within = torch.empty_like(index, dtype=_smallest_integer(x.shape, window.kernel))
        torch.sub(index, _window_starts(x.shape, result.shape, window, x.device), out=within)  # in one pass on CUDA
        ctx.save_for_backward(within)
        ctx.window, ctx.shape, ctx.layout = window, x.shape, _layout(x)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (within,) = ctx.saved_tensors
        index = within + _window_starts(ctx.shape, within.shape, ctx.window, within.device)  # int64, as the sum's other
        # The input is asked for and only its shape is read: memory that nobody writes costs nothing on a CPU.
        shape = torch.empty(ctx.shape, dtype=gradient.dtype, device=gradient.device, memory_format=ctx.layout)
        backward = torch.ops.aten.max_pool3d_with_indices_backward
        return backward(gradient, shape, *ctx.window, DILATION, True, index), None


def _window_starts(shape: torch.Size, result: torch.Size, window: Window, device: torch.device) -> Tensor:
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
