"""TSA's networks: what the clips of a video say of its single frames, and how the parts of two videos compare.

Plain modules; the method is in `tsa.py`. Clips stand where sequences have channels: convolutions run along the feature,
and what comes out as channels are frames.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from swapaqa.models.batch_norm import BatchNorm
from swapaqa.models.target_attention import HEADS, LAYERS, WIDTH, CrossLayer

CLIPS, FEATURES, FRAMES = 9, 1024, 96  # of a video: clips, length of a clip's feature, frames that are told apart
PARTS, STEPS = 3, 5  # of a video, and the steps that each of them is brought to
CHANNELS = (12, 24, 48, 96, FRAMES)


class Parsed(NamedTuple):
    """What the parser finds in N videos."""

    feature: Tensor  # (N, FRAMES, WIDTH) of every frame
    maps: Tensor  # (N, P, FRAMES, WIDTH) of P places in it
    transit: Tensor  # (N, FRAMES, 2) logits: is this frame the first of the second part, of the third


class ClipConvolutions(nn.Sequential):
    """Two convolutions of three places, (N, in_channels, L) -> (N, channels, L)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(
            *(nn.Conv1d(in_channels, channels, 3, padding=1), BatchNorm(channels), nn.ReLU()),
            *(nn.Conv1d(channels, channels, 3, padding=1), BatchNorm(channels), nn.ReLU()),
        )


class FrameParser(nn.Module):
    """From nine clips to ninety-six frames, and where one part of a dive becomes the next (128,846 parameters)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ClipConvolutions(one, other) for one, other in zip((CLIPS, *CHANNELS), CHANNELS, strict=False)
        )
        self.pool = nn.MaxPool1d(2)
        self.transit = nn.Sequential(
            *(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH), nn.ReLU()), nn.Linear(WIDTH, 2)
        )

    def frames(self, clips: Tensor) -> Tensor:
        """(N, CLIPS, FEATURES) -> (N, FRAMES, WIDTH)."""
        first, *others = self.blocks
        values: Tensor = first(clips)
        for block in others:
            values = block(self.pool(values))
        return values

    def forward(self, maps: Tensor, mixed: bool) -> Parsed:
        """Maps (N, CLIPS, P, FEATURES) of P places -> what is found in N videos.

        `mixed`: cut clips, places and numbers anew without moving them, as the published code does.
        """
        videos, _, places, _ = maps.shape
        feature = self.frames(maps.mean(dim=2))
        apart = maps.permute(0, 1, 3, 2).reshape(-1, CLIPS, FEATURES) if mixed else maps.transpose(1, 2).flatten(0, 1)
        found = self.frames(apart)
        of_places = (
            found.reshape(videos, FRAMES, WIDTH, places).movedim(3, 1)
            if mixed
            else found.unflatten(0, (videos, places))
        )
        transit = self.transit(feature)
        return Parsed(feature, of_places, transit.to(torch.promote_types(transit.dtype, torch.float32)))


def found_transitions(transit: Tensor) -> Tensor:
    """(N, FRAMES, 2) logits -> (N, 2) int64: the likeliest frame of each half, but for the first frame."""
    half = FRAMES // 2
    one, other = transit[:, :half, 0].argmax(dim=1).clamp_min(1), transit[:, half:, 1].argmax(dim=1) + half
    return torch.stack([one, other], dim=1)


def resampled_parts(values: Tensor, transitions: Tensor) -> Tensor:
    """The three parts of each video at STEPS points each, from its first frame to its last, linear between frames.

    Args:
        values: (N, ..., FRAMES, WIDTH).
        transitions: (N, 2) int64, first frames of the second and of the third part, rising, above 0 and below FRAMES.

    Returns:
        (N, ..., PARTS, STEPS, WIDTH).
    """
    edges = torch.cat(
        [torch.zeros_like(transitions[:, :1]), transitions, torch.full_like(transitions[:, :1], FRAMES)], 1
    )
    first, last = edges[:, :-1, None], edges[:, 1:, None] - 1  # (N, PARTS, 1)
    share = torch.arange(STEPS, device=values.device, dtype=values.dtype) / (STEPS - 1)
    place = (last - first).to(values.dtype) * share  # (N, PARTS, STEPS)
    below = place.floor().long()
    weight = place - below.to(place.dtype)
    at = (first + below).flatten(1)  # (N, PARTS * STEPS)
    after = torch.minimum(first + below + 1, last).flatten(1)

    def of_row(rows: Tensor) -> Tensor:
        """(N, L) as one for all of a video's places and numbers."""
        return rows.view(len(rows), *[1] * (values.ndim - 3), -1, 1)

    def taken(index: Tensor) -> Tensor:
        return values.gather(-2, of_row(index).expand(*values.shape[:-2], -1, values.shape[-1]))

    share_after = of_row(weight.flatten(1))
    whole = taken(at) * (1 - share_after) + taken(after) * share_after
    found: Tensor = whole.unflatten(-2, (PARTS, STEPS))
    return found


class ProcedureHead(nn.Module):
    """All of TSA but its backbone (311,759 parameters at 1024 features, as published).

    Args:
        in_features: length of a clip's feature; others than FEATURES are brought to it by a linear layer.
        mixed: see `FrameParser`.
    """

    def __init__(self, in_features: int, mixed: bool) -> None:
        super().__init__()
        self.mixed = mixed
        self.widen = nn.Identity() if in_features == FEATURES else nn.Linear(in_features, FEATURES)
        self.parser = FrameParser()
        self.decoder = nn.ModuleList(CrossLayer(WIDTH, HEADS) for _ in range(LAYERS))
        self.regress = nn.Sequential(
            *(nn.Linear(WIDTH, 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH), nn.ReLU()), nn.Linear(WIDTH, 1)
        )

    def parse(self, clips: Tensor) -> Parsed:
        """(N, CLIPS P, in_features), the P places of one clip after those of another -> what is found."""
        parsed: Parsed = self.parser(self.widen(clips).unflatten(1, (CLIPS, -1)), self.mixed)
        return parsed

    def parts(self, parsed: Parsed, transitions: Tensor) -> Tensor:
        """(N, PARTS, STEPS (1 + P), WIDTH): of each part its steps, then the places of every step."""
        feature = resampled_parts(parsed.feature, transitions)
        maps = resampled_parts(parsed.maps, transitions).movedim(1, 3)  # (N, PARTS, STEPS, P, WIDTH)
        return torch.cat([feature, maps.flatten(2, 3)], dim=2)

    def difference(self, one: Tensor, other: Tensor) -> Tensor:
        """(N,) how far the label of one video lies above that of another, of their `parts`, each against its own."""
        tokens, memory = one[:, :, :STEPS].flatten(0, 1), other[:, :, STEPS:].flatten(0, 1)
        for layer in self.decoder:
            tokens = layer(tokens, memory)
        number: Tensor = self.regress(tokens).unflatten(0, (len(one), PARTS)).mean(dim=(1, 2, 3))
        return number.to(torch.promote_types(number.dtype, torch.float32))
