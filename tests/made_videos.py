"""Videos of noise, their labels, and encoders: what the tests of methods are made of."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from swapaqa.batch import Encoded, Labels, Pair, Sample, map_columns
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder

METHODS = [  # what `model=` names
    "core",
    "usdl",
    "musdl",
    "dae",
    "dae_mt",
    "dae_core",
    "gdlt",
    "hgcn",
    "cofinal",
    "tpt",
    "t2cr",
    "tsa_net",
    "c3d_lstm",
    "i3d_lstm",
    "c3d_avg_mtl",
    "i3d_avg_mtl",
    "mscadc",
    "i3d_mscadc",
    "tecn",
    "pcln",
    "rica2",
    "msrn",
    "tsa",
    "jrg_rgb",
]


def plan(frames: int | None = 16, stride: int = 10, last_start: int | None = None, size: int | None = None) -> ClipPlan:
    """By default clips as CoRe cuts them."""
    return ClipPlan(frames, stride, last_start, size)


def encoder(
    network: nn.Module, clips: ClipPlan | ClipPlans | None = None, freeze_bn: bool = True, **more: Any
) -> VideoEncoder:
    """`network` over the clips of `plan()`."""
    return VideoEncoder(network, clips or plan(), freeze_bn, **{"learning_rate": None} | more)


def noise(count: int = 2, frames: int = 18, size: int = 16, seed: int = 0) -> Tensor:
    """(count, 3, frames, size, size) bytes, channels last in memory as the loader's."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, frames, size, size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).movedim(-1, 1)


def made_labels(count: int, **given: Tensor) -> Labels:
    """Labels from 20 to 80 that are the scores, in the first action, without judges and voters; or as `given`."""
    label = torch.linspace(20, 80, count, dtype=torch.float64)
    plain = {name: torch.ones_like(label) for name in ("factor", "difficulty")} | {"offset": torch.zeros_like(label)}
    none = torch.zeros(count, dtype=torch.int64)
    known = plain | {"score": label, "label": label, "judges": label[:, None][:, :0], "action": none}
    return Labels(**known | {"position": torch.arange(count), "voters": none[:, None][:, :0]} | given)


def made_sample(
    video: Tensor, labels: Labels | None = None, split: str = "train", side: dict[str, Tensor] | None = None
) -> Sample:
    """A batch of `video` (B, 3, T, H, W), whose boxes are one pixel; see `made_labels`."""
    count, frames = len(video), video.shape[2]
    return Sample(
        video=video,
        boxes=torch.zeros(count, frames, 4),
        mask=torch.zeros(count, 0, *video.shape[3:], dtype=torch.bool),
        replaced=torch.zeros(count),
        labels=labels or made_labels(count),
        side=side or {},
        split=[split] * count,
        video_id=[f"{split}/{position}" for position in range(count)],
    )


def made_side(count: int, frames: int = 18) -> dict[str, Tensor]:
    """What methods look for: dives of one to four half somersaults, captions of four words, stages and poses of a dive.

    What is announced of them is the same. Joints lie within 16 pixels; one in eight was not seen.
    """
    number = torch.arange(count)
    dive = torch.stack([0 * number, 1 + number % 4, 1 + number % 4, 0 * number, number % 3], dim=1)
    caption = torch.tensor([1, 2, 3, 4, 0, 0]) + 0 * number[:, None]
    stages = torch.tensor([0.1, 0.3, 0.7, 0.9]).repeat(count, 1)
    joint = torch.arange(count * frames * 17).view(count, frames, 17)
    pose = torch.stack([7 * joint % 16, 5 * joint % 16, (joint % 8).clamp(max=1)], dim=-1).float()
    return {"dive": dive, "announced": dive, "caption": caption, "stages": stages, "pose": pose}


def made_encoded(feature: Tensor, side: dict[str, Tensor] | None = None, **given: Tensor) -> Encoded:
    """Videos with the clip features (N, n, D); see `made_labels`."""
    ids = [str(position) for position in range(len(feature))]
    return Encoded(feature, made_labels(len(feature), **given), side or {}, ids)


class Videos(Dataset[Any]):
    """The videos of a batch one by one, as a loader reads them; if wanted in pairs, the next one as exemplar."""

    def __init__(self, whole: Sample, pairs: bool = False) -> None:
        self.whole, self.pairs = whole, pairs

    def __len__(self) -> int:
        return len(self.whole.video)

    def __getitem__(self, position: int) -> Sample | Pair:
        one = self.take(position)
        return Pair(one, self.take((position + 1) % len(self))) if self.pairs else one

    def take(self, position: int) -> Sample:
        return map_columns(self.whole, lambda column: column[position], lambda ids: ids[position])
