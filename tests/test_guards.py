"""Costs that come back unnoticed, counted instead of timed: operators, waits of the host, videos encoded, bytes moved.

A wait of the host for the device shows on the meta device, which has shapes and no values: whatever would read a value
back (`item`, `tolist`, `nonzero`, a boolean index) raises there.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from swapaqa.augment.swap import ScaledBackgroundSwap, swap_background
from swapaqa.batch import Pair, Sample, TrainingLabels, map_columns, map_samples, pooled
from swapaqa.configuration.data_sets import make_data
from swapaqa.data.pooling import augmented
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.scorer import Scorer
from swapaqa.models.tiny import TinyBackbone
from tests.made_videos import METHODS, encoder, made_labels, made_sample, made_side, noise

TO_GUARD = [  # those on I3D are the same classes on another backbone; TSA-Net counts its tokens on the host
    name for name in METHODS if name != "tsa_net" and not name.startswith("i3d_")
]
FRAMES, SIZE, JUDGES = 18, 16, 7
NO_KERNEL = {"view", "permute", "select", "slice", "unsqueeze", "expand", "unbind", "detach", "alias", "_unsafe_view"}


class Counted(TorchDispatchMode):
    """Counts the operators that run inside, but for those that only look at memory in another way.

    `large`: those of them whose result has `size` elements.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.all: Counter[str] = Counter()
        self.large: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name not in NO_KERNEL and not name.startswith("empty"):
            self.all[name] += 1
            if isinstance(result, Tensor) and result.numel() == self.size:
                self.large[name] += 1
        return result


def batch(count: int = 4) -> Sample:
    """Videos of noise, with boxes in their middle."""
    score = torch.linspace(30, 80, count).double()
    one = torch.ones_like(score)
    judges = torch.full((count, JUDGES), 7.0, dtype=torch.float64)
    known = made_labels(count, score=score, label=score / 25, factor=25 * one, difficulty=3 * one, judges=judges)
    boxes = torch.tensor([5.0, 5.0, 10.0, 10.0]).expand(count, FRAMES, 4).contiguous()
    return made_sample(noise(count, FRAMES, SIZE), known, side=made_side(count))._replace(boxes=boxes)


def on_device(sample: Sample) -> Sample:
    """As a GPU would have it: no value can be read."""
    return map_columns(sample, lambda column: column.to("meta"))


@pytest.fixture
def method(config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Scorer]:
    """`method("core")`: that method on the meta device."""
    monkeypatch.setattr(VideoEncoder, "_input_dtype", lambda *_: torch.float32)  # meta does not know autocast

    def build(name: str, clips_per_pass: int | None = None) -> Scorer:
        composed = config(f"model={name}")
        plan = hydra.utils.instantiate(composed.clips)
        given = {"encoder": encoder(TinyBackbone(2), plan, freeze_bn=False, clips_per_pass=clips_per_pass)}
        small = {"hidden_features": 8, "depth": 3} if "core" in name else {}
        small |= {"groups": 1} if name == "hgcn" else {}
        small |= {"width": 16, "heads": 2, "texts_width": 12} if name == "rica2" else {}
        small |= {"length": 20, "width": 32, "hidden": 16} if name in ("tecn", "pcln") else {}
        model = hydra.utils.instantiate(composed.model, _partial_=True)(**given | small)
        zero = torch.zeros(12, dtype=torch.int64)
        model.learn_scale(TrainingLabels(torch.linspace(0.5, 3.5, 12).double(), zero, zero, max_label=4.0))
        return model.to("meta")

    return build


def paired(name: str, sample: Sample) -> Sample | Pair:
    return Pair(sample, sample) if "core" in name or name in ("tpt", "t2cr", "tsa") else sample


@pytest.mark.parametrize("name", TO_GUARD)
def test_a_training_step_never_waits_for_the_device(
    name: str, method: Callable[..., Scorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = method(name)
    monkeypatch.setattr(model, "log", lambda *_, **__: None)  # Lightning's: it keeps tensors
    monkeypatch.setattr(model, "log_dict", lambda *_, **__: None)
    monkeypatch.setattr(type(model), "current_epoch", 0)
    loss = model.training_step(paired(name, on_device(batch())))
    loss.backward()
    assert loss.shape == ()
    assert all(parameter.grad is not None for parameter in model.encoder.parameters())


@pytest.mark.parametrize("variant", ["paper", "official", "clean"])
@pytest.mark.parametrize("name", ["core", "usdl"])
def test_the_swap_never_waits_for_the_device(name: str, variant: Any) -> None:
    """Not as an augmentation of the DataModule either, with its share of replaced pixels."""
    swap, generator = ScaledBackgroundSwap(variant=variant), torch.Generator().manual_seed(0)
    swapped = augmented(paired(name, on_device(batch())), swap, generator)
    assert (pooled(swapped) if isinstance(swapped, Pair) else swapped).video.dtype == torch.uint8


@pytest.mark.parametrize(
    "read",
    [lambda x: float(x.sum()), lambda x: x.tolist(), lambda x: x[x > 0], lambda x: bool((x > 0).any()), torch.nonzero],
)
def test_the_meta_device_notices_what_waits(read: Callable[[Tensor], Any]) -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        read(torch.zeros(3, device="meta"))


def swap_operators(given: Sample) -> Counted:
    donors = torch.arange(len(given.video)).roll(-1)
    with Counted(given.video.numel()) as counted:
        swap_background(given.video, given.boxes, donors, ratio=2.0)
    return counted


def test_the_devices_swap_touches_the_pixels_twice() -> None:
    """The donor's pixels, then each pixel's own or the donor's: another pass would cost half a swap."""
    assert swap_operators(on_device(batch())).large.total() == 2


def test_the_cpus_swap_computes_no_pixel() -> None:
    """NumPy moves them, a frame's rectangle at a time: no operator of torch is as large as the videos."""
    assert not swap_operators(batch()).large


@pytest.mark.parametrize("place", [on_device, lambda sample: sample], ids=["device", "cpu"])
def test_the_swap_starts_no_operator_for_each_video_or_frame(place: Callable[[Sample], Sample]) -> None:
    """The host's time to start them would grow with the batch."""
    few, many, longer = batch(), batch(8), batch()
    longer = longer._replace(video=torch.cat([longer.video] * 2, dim=2), boxes=torch.cat([longer.boxes] * 2, dim=1))
    started = [swap_operators(place(sample)).all for sample in (few, many, longer)]
    assert started[0] == started[1] == started[2]


def test_a_sample_travels_as_bytes(config: Callable[..., Any], demo_cache: Path) -> None:
    """From the loader to the device: a byte a channel, 16 bytes a frame for its box, and some numbers."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SWAPAQA_CACHE", str(demo_cache))
        cfg = config("data.settings.train=12", "data.settings.test=6", "data.settings.shifted=6", "data.workers=0")
        data = make_data(cfg.data)
        data.setup()
        train, test = next(iter(data.train_dataloader())), next(iter(data.val_dataloader()[0]))
    crop, frames, seen = cfg.data.geometry.crop, cfg.data.frames, []
    map_samples(train, lambda sample: seen.append(sample) or sample)
    for sample in (*seen, test):
        columns = [column for column in tree_leaves(sample) if isinstance(column, Tensor)]
        assert sample.video.dtype == torch.uint8
        assert sample.video.shape[1:] == (frames, crop, crop, 3)
        moved = sum(column.nbytes for column in columns) / len(sample.video)
        pixels, boxes = 3 * frames * crop * crop, 4 * 4 * frames
        side = sum(column[0].numel() for column in sample.side.values())  # of the demo: its dive and its caption
        numbers = 8 + sample.labels.judges.shape[1] + sample.labels.voters.shape[1] + side
        assert moved <= pixels + boxes + 8 * numbers


def test_batches_are_pinned_where_there_is_a_gpu(config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning copies without letting the host wait; that takes effect from pinned memory only."""
    data = make_data(config("data.settings.train=12").data)
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert data._loading()["pin_memory"] is there
