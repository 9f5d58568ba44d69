"""Clip positions, normalisation, frozen statistics, the encoder that joins them; the tiny backbone too."""

import pytest
import torch
from torch import Tensor, nn

from swapaqa.errors import InputError
from swapaqa.models.clips import (
    VideoEncoder,
    clip_starts,
    cut_clips,
    freeze_batch_norm_statistics,
    has_live_batch_norm,
    normalise,
)
from swapaqa.models.tiny import TinyBackbone


class ClipNorm(nn.Module):
    """The smallest backbone with BatchNorm: its feature is the channels' mean."""

    feature_size = 3

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(3)
        self.passes = 0

    def forward(self, clips: Tensor) -> Tensor:
        self.passes += 1
        return self.norm(clips).mean(dim=(2, 3, 4))


def encoder(network: nn.Module, freeze_bn: bool = True) -> VideoEncoder:
    return VideoEncoder(network, 16, 10, None, "imagenet", freeze_bn, None)


def bytes_of(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_published_clip_positions() -> None:
    regular = [0, 10, 20, 30, 40, 50, 60, 70, 80]
    assert clip_starts(103, 16, 10) == [*regular, 87]
    assert clip_starts(103, 16, 10, last_start=86) == [*regular, 86]
    assert clip_starts(106, 16, 10) == [*regular, 90]
    assert clip_starts(16, 16, 10) == [0]
    assert clip_starts(160, 16, 16) == [16 * n for n in range(10)]  # JIGSAWS: no overlap


@pytest.mark.parametrize(
    ("frames", "length", "stride", "last_start", "word"),
    [
        (15, 16, 10, None, "shorter than a clip"),
        (103, 16, 10, 88, "last_start=88"),
        (103, 16, 10, -1, "last_start"),
        (103, 16, 0, None, "at least 1"),
    ],
)
def test_impossible_clips_are_refused(frames: int, length: int, stride: int, last_start: int | None, word: str) -> None:
    with pytest.raises(InputError, match=word):
        clip_starts(frames, length, stride, last_start)


@pytest.mark.parametrize("channels_last", [False, True])
def test_cut_clips_keeps_the_videos_apart(channels_last: bool) -> None:
    video = bytes_of(2, 30, 4, 5, 3).movedim(-1, 1) if channels_last else bytes_of(2, 3, 30, 4, 5)
    clips = cut_clips(video, [0, 10, 14], 16)
    assert clips.shape == (6, 3, 16, 4, 5)
    torch.testing.assert_close(clips[2], video[0, :, 14:30], rtol=0, atol=0)
    torch.testing.assert_close(clips[4], video[1, :, 10:26], rtol=0, atol=0)
    assert clips.is_contiguous(memory_format=torch.channels_last_3d)


def test_a_clip_that_is_the_whole_video_is_not_copied() -> None:
    video = bytes_of(2, 16, 4, 5, 3).movedim(-1, 1)
    assert cut_clips(video, [0], 16).data_ptr() == video.data_ptr()
    torch.testing.assert_close(cut_clips(video, [0], 16), video, rtol=0, atol=0)
    assert cut_clips(bytes_of(2, 3, 16, 4, 5), [0], 16).is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_both_memory_layouts_are_normalised_to_the_same_bits(dtype: torch.dtype) -> None:
    by_pixel = bytes_of(2, 6, 4, 5, 3).movedim(-1, 1)
    by_channel = by_pixel.contiguous()
    assert by_pixel.stride() != by_channel.stride()
    results = [normalise(video, "imagenet", dtype) for video in (by_pixel, by_channel)]
    torch.testing.assert_close(*results, rtol=0, atol=0)
    assert [result.stride() for result in results] == [by_pixel.stride(), by_channel.stride()]


def test_normalised_ranges() -> None:
    """Black and white under ImageNet normalisation, and the grey that becomes zero."""
    black, white = (
        torch.zeros(1, 3, 1, 1, 1, dtype=torch.uint8),
        torch.full((1, 3, 1, 1, 1), 255, dtype=torch.uint8),
    )
    lowest, highest = torch.tensor([-2.1179, -2.0357, -1.8044]), torch.tensor([2.2489, 2.4286, 2.6400])
    torch.testing.assert_close(normalise(black, "imagenet").flatten(), lowest, rtol=0, atol=5e-5)
    torch.testing.assert_close(normalise(white, "imagenet").flatten(), highest, rtol=0, atol=5e-5)
    assert normalise(black, "pm1").flatten().tolist() == [-1, -1, -1]
    assert normalise(white, "pm1").flatten().tolist() == [1, 1, 1]
    grey = torch.tensor([124, 116, 104], dtype=torch.uint8).view(1, 3, 1, 1, 1)  # (123.7, 116.3, 103.5)
    assert normalise(grey, "imagenet").abs().max() < 0.01


def test_the_two_conventions_convert_into_each_other() -> None:
    video = bytes_of(1, 3, 2, 8, 8)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1, 1)
    expected = 2 * (normalise(video, "imagenet") * std + mean) - 1
    torch.testing.assert_close(normalise(video, "pm1"), expected, rtol=0, atol=1e-6)


def test_normalise_leaves_its_input_and_computes_in_float32_at_least() -> None:
    video = bytes_of(1, 3, 2, 8, 8)
    before = video.clone()
    half = normalise(video, "imagenet", torch.bfloat16)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half, normalise(video, "imagenet").bfloat16(), rtol=0, atol=0)
    assert normalise(video, "imagenet", torch.float64).dtype == torch.float64
    torch.testing.assert_close(video, before, rtol=0, atol=0)
    with pytest.raises(TypeError, match="uint8"):
        normalise(video.float(), "imagenet")


def test_statistics_stay_frozen_through_train_and_validation() -> None:
    model = nn.Sequential(encoder(ClipNorm()))
    norm = model[0].network.norm
    for step in (lambda: None, model.train, model.eval, model.train):
        step()
        assert not norm.training
        model(bytes_of(2, 3, 26, 4, 4)).sum().backward()
    assert norm.num_batches_tracked == 0
    assert norm.running_mean.tolist() == [0, 0, 0]
    assert norm.weight.requires_grad
    assert norm.bias.grad.abs().sum() > 0
    assert model[0].training


def test_without_freezing_statistics_move_in_training_only() -> None:
    model = encoder(ClipNorm(), freeze_bn=False)
    model.eval()(bytes_of(2, 3, 26, 4, 4))
    assert model.network.norm.num_batches_tracked == 0
    model.train()(bytes_of(2, 3, 26, 4, 4))
    assert model.network.norm.num_batches_tracked == 2


def test_live_statistics_see_one_clip_position_at_a_time() -> None:
    """As MUSDL runs it: ten passes of B clips, not one of 10 B."""
    video = bytes_of(4, 3, 36, 4, 4)
    live = encoder(ClipNorm(), freeze_bn=False)
    clips = normalise(video, "imagenet")
    by_position = [nn.BatchNorm3d(3)(clips[:, :, s : s + 16]).mean(dim=(2, 3, 4)) for s in (0, 10, 20)]
    torch.testing.assert_close(live(video), torch.stack(by_position).mean(dim=0))
    assert live.network.passes == 3
    frozen = encoder(ClipNorm())
    frozen(video)
    assert frozen.network.passes == 1


def test_freezing_finds_every_batch_norm_and_nothing_else() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.SyncBatchNorm(2), nn.Dropout(), nn.GroupNorm(1, 2)))
    assert has_live_batch_norm(model)
    freeze_batch_norm_statistics(model)
    assert not has_live_batch_norm(model)
    assert model[1][1].training
    assert model[1][2].training
    assert not has_live_batch_norm(TinyBackbone(4))


def test_the_feature_is_the_mean_over_the_clips() -> None:
    network = TinyBackbone(4).double()
    model = encoder(network)
    video = bytes_of(2, 3, 103, 16, 16)
    clips = [normalise(video[:, :, s : s + 16], "imagenet", torch.float64) for s in clip_starts(103, 16, 10)]
    expected = torch.stack([network(clip) for clip in clips]).mean(dim=0)
    torch.testing.assert_close(model(video), expected)
    assert model(video).shape == (2, model.feature_size) == (2, 16)


def test_a_video_does_not_depend_on_its_batch() -> None:
    model = encoder(TinyBackbone(4))
    video = bytes_of(3, 3, 26, 16, 16)
    torch.testing.assert_close(model(video)[1:2], model(video[1:2]))


def test_under_autocast_the_clips_are_made_in_its_type() -> None:
    seen = []
    network = TinyBackbone(4)
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    model = encoder(network)
    model(bytes_of(1, 3, 16, 8, 8))
    model.double()(bytes_of(1, 3, 16, 8, 8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model._input_dtype(bytes_of(1, 3, 16, 8, 8)) == torch.bfloat16
    assert seen == [torch.float32, torch.float64]


def test_too_short_a_video_names_the_way_out() -> None:
    with pytest.raises(InputError, match="use shorter clips"):
        encoder(TinyBackbone(4))(bytes_of(1, 3, 8, 16, 16))


@pytest.mark.parametrize("size", [(16, 64, 64), (8, 32, 48), (1, 7, 5)])
def test_tiny_backbone_takes_any_size_and_trains(size: tuple[int, int, int]) -> None:
    network = TinyBackbone(8)
    features = network(torch.randn(2, 3, *size))
    assert features.shape == (2, network.feature_size) == (2, 32)
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
