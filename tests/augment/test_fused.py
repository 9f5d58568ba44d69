"""Swap and normalisation in one call: torch against its two steps, the kernel against torch.

Without a GPU the kernel runs in Triton's interpreter, on the CPU. Triton is not among the requirements (a CUDA build of
torch brings it): `pip install triton`, and those tests run too.
"""

import importlib.util

import pytest
import torch
from torch import Tensor

from swapaqa.augment.fused import DTYPES, Clips, Form, swap_and_normalise, swap_by_torch
from swapaqa.augment.swap import swap_background
from swapaqa.errors import InputError
from swapaqa.models.clips import IMAGENET_MEAN, IMAGENET_STD, cut_clips, normalise

VARIANTS = ("paper", "official", "clean")
CLIPS = (None, Clips([0, 2, 1], 2))
IDENTITY = (0.0,) * 3, (1 / 255,) * 3  # the mean and std that leave bytes as they are


def random_case(seed: int, *, size: tuple[int, int] = (7, 9), frames: int = 4, channels: int = 3):
    """video (3, C, T, H, W) as the loader stores it, boxes (some partly or wholly off the frame), donors."""
    generator = torch.Generator().manual_seed(seed)
    stored = torch.randint(0, 256, (3, frames, *size, channels), dtype=torch.uint8, generator=generator)
    low = torch.randint(-8 * 12, 8 * 20, (3, frames, 2), generator=generator) / 8
    extent = torch.randint(0, 8 * 14, (3, frames, 2), generator=generator) / 8
    donors = torch.randperm(3, generator=generator)
    return stored.permute(0, 4, 1, 2, 3), torch.cat([low, low + extent], dim=-1), donors


def fused(case, dtype: torch.dtype, variant: str = "paper", clips: Clips | None = None) -> Tensor:
    return swap_and_normalise(
        *case, ratio=2.0, mean=IMAGENET_MEAN, std=IMAGENET_STD, dtype=dtype, variant=variant, fill=9, clips=clips
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_the_swap_and_then_the_normalisation(variant, dtype):
    video, boxes, donors = random_case(0)
    swapped = swap_background(video, boxes, donors, ratio=2.0, variant=variant, fill=9)
    expected = normalise(swapped, "imagenet", dtype)
    result = fused((video, boxes, donors), dtype, variant)
    assert result.dtype == dtype
    assert torch.equal(result, expected)
    assert result.stride() == video.stride()
    assert torch.equal(fused((video, boxes, donors), dtype, variant, Clips([0, 1], 3)), cut_clips(expected, [0, 1], 3))


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (1, 4, 0, 3, 2), (2, 0, 3, 4, 1)])
def test_any_stride_order(order):
    case = random_case(1)
    back = torch.tensor(order).argsort().tolist()
    video = case[0].permute(order).contiguous().permute(back)
    result = fused((video, *case[1:]), torch.float32)
    assert torch.equal(result, fused(case, torch.float32))
    assert result.stride() == video.stride()
    wider = torch.stack([video, video], dim=-1)[..., 0]
    assert torch.equal(fused((wider, *case[1:]), torch.float32), result)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (0, 2, 3, 4, 1)])
def test_clips_lie_channels_last_in_memory(order):
    case = random_case(2)
    video = case[0].permute(order).contiguous().permute(torch.tensor(order).argsort().tolist())
    clips = fused((video, *case[1:]), torch.bfloat16, clips=Clips((0, 2), 2))
    assert clips.shape == (6, 3, 2, 7, 9)
    assert clips.movedim(1, -1).is_contiguous()


def test_what_does_not_fit_is_refused():
    case = random_case(3)
    good = {"ratio": 2.0, "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "dtype": torch.float16}
    for wrong, says in (
        ({"dtype": torch.float64}, "bfloat16, float16 or float32"),
        ({"mean": (0.5, 0.5)}, "3 channels"),
        ({"std": (0.5, 0.0, 0.5)}, "above 0"),
        ({"clips": Clips([0, 3], 2)}, "not within 4 frames"),
        ({"clips": Clips([], 2)}, "not within 4 frames"),
    ):
        with pytest.raises(ValueError, match=says):
            swap_and_normalise(*case, **(good | wrong))
    with pytest.raises(ValueError, match="uint8"):
        swap_and_normalise(case[0].float(), *case[1:], **good)
    with pytest.raises(InputError, match=r"aug\.ratio"):
        swap_and_normalise(*case, **(good | {"ratio": 0.0}))


@pytest.fixture
def kernel(monkeypatch):
    """The kernel's module, set up for Triton's interpreter: it reads its switch where a kernel is defined."""
    pytest.importorskip("triton", reason="Triton is not installed: its interpreter is what runs the kernel on a CPU")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    spec = importlib.util.find_spec("swapaqa.augment.fused_triton")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def steps_apart(result: Tensor, expected: Tensor) -> int:
    """How many numbers of the dtype lie between the two, at most: 1 is the next one."""
    bits = torch.int32 if result.dtype == torch.float32 else torch.int16
    distances = result.contiguous().view(bits).long() - expected.contiguous().view(bits).long()
    return int(distances.abs().max())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("clips", CLIPS)
def test_the_kernel_chooses_the_same_bytes(kernel, variant, clips):
    for seed, size in enumerate([(7, 9), (1, 1), (9, 7), (33, 40), (5, 16)]):
        case, form = random_case(seed, size=size), Form(2.0, *IDENTITY, torch.bfloat16, variant, [3, 200, 77], clips)
        result, expected = kernel.swap_by_kernel(*case, form), swap_by_torch(*case, form)
        assert torch.equal(result, expected)
        assert result.stride() == expected.stride()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernel_computes_the_same_numbers(kernel, dtype):
    """To one step of the dtype: it multiplies by 1 / std, and the interpreter cuts bfloat16 instead of rounding it."""
    case = random_case(5, size=(33, 40))
    case[0][:, :, 0, :32, :8] = torch.arange(256, dtype=torch.uint8).view(32, 8)  # each byte in each channel
    form = Form(1.5, IMAGENET_MEAN, IMAGENET_STD, dtype, "official", 9, None)
    assert steps_apart(kernel.swap_by_kernel(*case, form), swap_by_torch(*case, form)) <= 1


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("frames", [1, 3])
def test_the_kernel_takes_any_channels_and_length(kernel, channels, frames):
    case = random_case(6, channels=channels, frames=frames)
    form = Form(2.0, (0.0,) * channels, (1 / 255,) * channels, torch.float32, "official", 9, None)
    assert torch.equal(kernel.swap_by_kernel(*case, form), swap_by_torch(*case, form))


@pytest.mark.parametrize("size", [(7, 9), (1, 5), (5, 1)])
def test_the_kernel_takes_videos_with_gaps(kernel, size):
    video, boxes, donors = random_case(7, size=size, frames=6)
    case = video[:, :, ::2], boxes[:, ::2], donors
    form = Form(2.0, *IDENTITY, torch.float16, "clean", 9, None)
    assert torch.equal(kernel.swap_by_kernel(*case, form), swap_by_torch(*case, form))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(7, 9), (224, 224)])
def test_the_kernel_on_a_device(variant, dtype, size):
    pytest.importorskip("triton", reason="Triton is not installed: torch does the work on this device")
    for clips in CLIPS:
        form = Form(2.0, IMAGENET_MEAN, IMAGENET_STD, dtype, variant, 9, clips)
        on_cpu = random_case(8, size=size)
        video, boxes, donors = (part.cuda() for part in on_cpu)
        assert video.stride() == on_cpu[0].stride()
        result = swap_and_normalise(video, boxes, donors, **form._asdict())
        assert result.stride() == swap_by_torch(*on_cpu, form).stride()
        assert steps_apart(result, swap_by_torch(video, boxes, donors, form)) <= 1
        if variant != "clean":  # whose fill may round a byte to the other side on another device
            assert steps_apart(result.cpu(), swap_by_torch(*on_cpu, form)) <= 1
