"""The pool that keeps little: PyTorch's values and gradients to the bit, in a byte or two for every maximum."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from swapaqa.bench.counting import SavedTensors
from swapaqa.models import max_pool as module
from swapaqa.models.max_pool import PoolWindow, compact_max_pool, max_pool

WINDOWS = [  # I3D's, over sizes that leave incomplete windows
    (PoolWindow((1, 3, 3), (1, 2, 2), (0, 0, 0)), (4, 11, 10)),
    (PoolWindow((3, 3, 3), (1, 1, 1), (1, 1, 1)), (5, 7, 6)),
    (PoolWindow((3, 3, 3), (2, 2, 2), (0, 0, 0)), (4, 8, 9)),
    (PoolWindow((2, 2, 2), (2, 2, 2), (0, 0, 0)), (3, 7, 7)),
    (PoolWindow((3, 3, 3), (1, 1, 1), (1, 1, 1)), (1, 2, 1)),
]
BYTES = [  # for every maximum: the distance from the first to the last place of a window has to fit
    (PoolWindow((1, 3, 3), (1, 2, 2), (0, 0, 0)), (2, 4, 126), 1),  # 2 * 126 + 2 = 254
    (PoolWindow((1, 3, 3), (1, 2, 2), (0, 0, 0)), (2, 4, 127), 2),
    (PoolWindow((3, 3, 3), (1, 1, 1), (1, 1, 1)), (3, 126, 128), 2),  # (2 * 126 + 2) * 128 + 2 = 32514
    (PoolWindow((3, 3, 3), (1, 1, 1), (1, 1, 1)), (3, 127, 128), 4),
]
LAYOUTS = [torch.contiguous_format, torch.channels_last_3d]
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_CUDA])]


def drawn(size: tuple[int, int, int], dtype: torch.dtype = torch.float32) -> Tensor:
    """(2, 32, *size) of few values, so that most windows have ties, and some are negative or -inf throughout."""
    values = torch.randint(-9, 3, (2, 32, *size), generator=torch.Generator().manual_seed(0)).to(dtype)
    values[:, :, -2:, -4:, -4:] = -torch.inf
    return values


def with_gradient(pool: Callable[[Tensor, PoolWindow], Tensor], x: Tensor, window: PoolWindow) -> tuple[Tensor, Tensor]:
    given = x.clone(memory_format=torch.preserve_format).requires_grad_()
    result = pool(given, window)
    result.backward(torch.arange(1.0, result.numel() + 1, device=x.device).view_as(result).to(x.dtype))
    return result.detach(), given.grad


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("window", "size"), [*WINDOWS, (BYTES[-1][0], BYTES[-1][1])])
def test_values_and_gradients_are_pytorchs(
    window: PoolWindow, size: tuple[int, int, int], dtype: torch.dtype, layout: torch.memory_format, device: str
) -> None:
    x = drawn(size, dtype).to(device).contiguous(memory_format=layout)
    found, expected = with_gradient(compact_max_pool, x, window), with_gradient(max_pool, x, window)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.stride() == theirs.stride()
        if device == "cpu":
            assert torch.equal(ours, theirs)
        else:  # where PyTorch's own adds in any order
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("window", "size"), WINDOWS)
def test_at_once_is_as_clip_by_clip(window: PoolWindow, size: tuple[int, int, int]) -> None:
    """The form of a GPU, on a CPU."""
    x = drawn(size).contiguous(memory_format=torch.channels_last_3d)
    pooled, clip_by_clip = module._pool_at_once(x, window), module._pool_clip_by_clip(x, window)
    for ours, theirs in zip(pooled, clip_by_clip, strict=True):
        assert torch.equal(ours, theirs)
    gradient = torch.arange(1.0, pooled[0].numel() + 1).view_as(pooled[0])
    spread = [
        form(gradient.contiguous(memory_format=torch.channels_last_3d), pooled[1], torch.empty_like(x), window)
        for form in (module._spread_at_once, module._spread_clip_by_clip)
    ]
    assert torch.equal(*spread)


@pytest.mark.parametrize("channels", [1, 3, 40])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_number_of_channels(channels: int, layout: torch.memory_format) -> None:
    window, size = WINDOWS[0]
    x = torch.cat([drawn(size), drawn(size)], dim=1)[:, :channels].contiguous(memory_format=layout)
    for ours, theirs in zip(
        with_gradient(compact_max_pool, x, window), with_gradient(max_pool, x, window), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_a_gradient_goes_to_the_first_of_equal_maxima_by_hand() -> None:
    values = torch.tensor([[1.0, 5.0, 5.0], [5.0, 0.0, 2.0]]).expand(1, 16, 1, 2, 3)  # fewer channels are PyTorch's
    x = values.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
    result = compact_max_pool(x, PoolWindow((1, 2, 2), (1, 1, 1), (0, 0, 0)))
    assert result[0, :, 0, 0].tolist() == 16 * [[5.0, 5.0]]
    result.sum().backward()
    assert x.grad is not None
    assert x.grad[0, :, 0].tolist() == 16 * [[[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]]


@pytest.mark.parametrize(("window", "size", "nbytes"), BYTES)
def test_what_is_kept(window: PoolWindow, size: tuple[int, int, int], nbytes: int) -> None:
    saved = SavedTensors([])
    with torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda kept: kept.tensor):
        result = compact_max_pool(drawn(size).requires_grad_(), window)
    assert saved.now == nbytes * result.numel()


def test_the_input_may_change_afterwards() -> None:
    """Nothing of it is kept: writing into it is no error, and the gradient is that of the values that were pooled."""
    window, size = WINDOWS[0]
    x = drawn(size).requires_grad_()
    scaled = x * 1.0
    result = compact_max_pool(scaled, window)
    scaled.detach().zero_()
    result.sum().backward()
    expected = x.detach().clone().requires_grad_()
    max_pool(expected, window).sum().backward()
    assert torch.equal(x.grad, expected.grad)
