"""The encoder: normalisation, frozen and live statistics, several plans, networks of any kind, and its subclasses."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swapaqa.batch import Sample
from swapaqa.errors import InputError
from swapaqa.models.backbone import Backbone
from swapaqa.models.batch_norm import freeze_batch_norm_statistics, has_live_batch_norm
from swapaqa.models.clip_plan import ClipPlan, ClipPlans, clip_starts
from swapaqa.models.encoder import VideoEncoder, pooled
from swapaqa.models.normalisation import IMAGENET, PLUS_MINUS_ONE, Normalisation, normalise
from swapaqa.models.optimisation import Optimisation
from swapaqa.models.tiny import TinyBackbone
from swapaqa.models.usdl import USDL
from tests.made_videos import encoder, made_sample, noise, plan


class ClipNorm(Backbone):
    """The smallest backbone with BatchNorm: its feature is the channels' mean."""

    feature_size = 3

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(3)


def passes(network: nn.Module) -> list[int]:
    """Fills with the number of clips of each call."""
    seen: list[int] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    return seen


# normalisation


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_both_memory_layouts_are_normalised_to_the_same_bits(dtype: torch.dtype) -> None:
    by_pixel = noise(2, 6, 5)
    by_channel = by_pixel.contiguous()
    assert by_pixel.stride() != by_channel.stride()
    results = [normalise(video, IMAGENET, dtype) for video in (by_pixel, by_channel)]
    torch.testing.assert_close(*results, rtol=0, atol=0)
    assert [result.stride() for result in results] == [by_pixel.stride(), by_channel.stride()]


def test_normalised_ranges() -> None:
    """Black and white under ImageNet normalisation, and the grey that becomes zero."""
    black, white = (
        torch.zeros(1, 3, 1, 1, 1, dtype=torch.uint8),
        torch.full((1, 3, 1, 1, 1), 255, dtype=torch.uint8),
    )
    lowest, highest = torch.tensor([-2.1179, -2.0357, -1.8044]), torch.tensor([2.2489, 2.4286, 2.6400])
    torch.testing.assert_close(normalise(black, IMAGENET).flatten(), lowest, rtol=0, atol=5e-5)
    torch.testing.assert_close(normalise(white, IMAGENET).flatten(), highest, rtol=0, atol=5e-5)
    assert normalise(black, PLUS_MINUS_ONE).flatten().tolist() == [-1, -1, -1]
    assert normalise(white, PLUS_MINUS_ONE).flatten().tolist() == [1, 1, 1]
    grey = torch.tensor([124, 116, 104], dtype=torch.uint8).view(1, 3, 1, 1, 1)  # (123.7, 116.3, 103.5)
    assert normalise(grey, IMAGENET).abs().max() < 0.01


def test_the_two_conventions_convert_into_each_other() -> None:
    video = noise(1, 2, 8)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1, 1)
    expected = 2 * (normalise(video, IMAGENET) * std + mean) - 1
    torch.testing.assert_close(normalise(video, PLUS_MINUS_ONE), expected, rtol=0, atol=1e-6)


def test_normalise_leaves_its_input_and_computes_in_float32_at_least() -> None:
    video = noise(1, 2, 8)
    before = video.clone()
    half = normalise(video, IMAGENET, torch.bfloat16)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half, normalise(video, IMAGENET).bfloat16(), rtol=0, atol=0)
    assert normalise(video, IMAGENET, torch.float64).dtype == torch.float64
    torch.testing.assert_close(video, before, rtol=0, atol=0)
    with pytest.raises(TypeError, match="uint8"):
        normalise(video.float(), IMAGENET)


def test_a_network_carries_its_normalisation_as_values() -> None:
    """By name for the yamls, and any other one for a network of one's own."""
    video = noise(2, 18, 8)
    own = Normalisation((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))
    for given in (IMAGENET, PLUS_MINUS_ONE, own):
        network = ClipNorm()
        network.normalisation = given
        mean = torch.tensor(given.mean, dtype=torch.float64).view(3, 1, 1, 1)
        std = torch.tensor(given.std, dtype=torch.float64).view(3, 1, 1, 1)
        clips = torch.stack([video[:, :, start : start + 16] for start in (0, 2)], dim=1)
        expected = ((clips.double() / 255 - mean) / std).mean(dim=(3, 4, 5))
        network.double().norm.eps = 0.0
        torch.testing.assert_close(encoder(network)(made_sample(video)), expected)
    assert TinyBackbone(4).normalisation == IMAGENET
    assert TinyBackbone(4, "pm1").normalisation == PLUS_MINUS_ONE


# BatchNorm


def test_statistics_stay_frozen_through_train_and_validation() -> None:
    model = nn.Sequential(encoder(ClipNorm()))
    norm = model[0].network.norm
    for step in (lambda: None, model.train, model.eval, model.train):
        step()
        assert not norm.training
        model(made_sample(noise(2, 26, 4))).sum().backward()
    assert norm.num_batches_tracked == 0
    assert norm.running_mean.tolist() == [0, 0, 0]
    assert norm.weight.requires_grad
    assert norm.bias.grad.abs().sum() > 0
    assert model[0].training


def test_without_freezing_statistics_move_in_training_only() -> None:
    model, videos = encoder(ClipNorm(), freeze_bn=False), made_sample(noise(2, 26, 4))
    model.eval()(videos)
    assert model.network.norm.num_batches_tracked == 0
    model.train()(videos)
    assert model.network.norm.num_batches_tracked == 2


def test_live_statistics_see_one_clip_position_at_a_time() -> None:
    """As MUSDL runs it: ten passes of B clips, not one of 10 B."""
    video = noise(4, 36, 4)
    live = encoder(ClipNorm(), freeze_bn=False)
    seen, clips = passes(live.network), normalise(video, IMAGENET)
    by_position = [nn.BatchNorm3d(3)(clips[:, :, s : s + 16]).mean(dim=(2, 3, 4)) for s in (0, 10, 20)]
    torch.testing.assert_close(live(made_sample(video)), torch.stack(by_position, dim=1))
    assert seen == [4, 4, 4]
    frozen = encoder(ClipNorm())
    seen = passes(frozen.network)
    frozen(made_sample(video))
    assert seen == [12]


def test_freezing_finds_every_batch_norm_and_nothing_else() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.SyncBatchNorm(2), nn.Dropout(), nn.GroupNorm(1, 2)))
    assert has_live_batch_norm(model)
    freeze_batch_norm_statistics(model)
    assert not has_live_batch_norm(model)
    assert model[1][1].training
    assert model[1][2].training
    assert not has_live_batch_norm(TinyBackbone(4))


# features


def by_hand(network: nn.Module, video: Tensor, starts: list[int], frames: int = 16) -> Tensor:
    """(B, n, D): clip after clip, in float64."""
    clips = [normalise(video[:, :, start : start + frames], IMAGENET, torch.float64) for start in starts]
    return torch.stack([pooled(network(clip)) for clip in clips], dim=1)


def test_features_are_those_of_the_clips_one_by_one() -> None:
    network = TinyBackbone(4).double()
    model, video = encoder(network), noise(2, 103, 16)
    found = model(made_sample(video))
    torch.testing.assert_close(found, by_hand(network, video, clip_starts(103, 16, 10)))
    assert found.shape == (2, 10, model.feature_size) == (2, 10, 16)


def test_a_video_does_not_depend_on_its_batch() -> None:
    model, video = encoder(TinyBackbone(4)), noise(3, 26, 16)
    torch.testing.assert_close(model(made_sample(video))[1:2], model(made_sample(video[1:2])))


@pytest.mark.parametrize("clips_per_pass", [None, 1, 5])
def test_the_clips_of_several_plans_follow_each_other(clips_per_pass: int | None) -> None:
    """Of other lengths and sizes too: T2CR's two, TPT's short ones and the whole video of one encoder."""
    network, video = TinyBackbone(4).double(), noise(2, 26, 16)
    plans = {"full": plan(16, 10, 9), "short": plan(8, 5, size=12), "whole": plan(None, 1)}
    several = encoder(network, ClipPlans(**plans), clips_per_pass=clips_per_pass)
    alone = [encoder(network, own)(made_sample(video)) for own in plans.values()]
    assert [one.shape[1] for one in alone] == [2, 5, 1]
    found = several(made_sample(video))
    torch.testing.assert_close(found, torch.cat(alone, dim=1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found[:, :2], by_hand(network, video, [0, 9]))
    torch.testing.assert_close(found[:, -1:], by_hand(network, video, [0], 26))


def test_under_autocast_the_clips_are_made_in_its_type() -> None:
    seen = []
    network, one = TinyBackbone(4), made_sample(noise(1, 16, 8))
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    model = encoder(network)
    model(one)
    model.double()(one)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model._input_dtype(one.video) == torch.bfloat16
    assert seen == [torch.float32, torch.float64]


def test_too_short_a_video_names_the_way_out() -> None:
    with pytest.raises(InputError, match="take shorter clips"):
        encoder(TinyBackbone(4))(made_sample(noise(1, 8, 16)))


@pytest.mark.parametrize("size", [(16, 64, 64), (8, 32, 48), (1, 7, 5)])
def test_tiny_backbone_takes_any_size_and_trains(size: tuple[int, int, int]) -> None:
    network = TinyBackbone(8)
    features = pooled(network(torch.randn(2, 3, *size)))
    assert features.shape == (2, network.feature_size) == (2, 32)
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


# networks of other kinds


class PerFrame(Backbone):
    """A network of pictures: every frame by itself, and their mean as a vector."""

    feature_size = 5

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2), nn.ReLU())

    def forward(self, clips: Tensor, after: str | None = None, until: str | None = None) -> Tensor:
        assert after is None
        assert until is None
        pictures = self.layers(clips.movedim(2, 1).flatten(0, 1)).mean(dim=(2, 3))  # (N t, D)
        return pictures.unflatten(0, (len(clips), -1)).mean(dim=1)


@pytest.mark.parametrize("clips_per_pass", [None, 1, 2])
def test_a_network_of_pictures_gives_vectors(clips_per_pass: int | None) -> None:
    network, video = PerFrame().double(), noise(2, 26, 9)
    found = encoder(network, clips_per_pass=clips_per_pass)(made_sample(video))
    assert found.shape == (2, 2, 5)
    frames = normalise(video, IMAGENET, torch.float64).unbind(2)
    each = torch.stack([network.layers(frame).mean(dim=(2, 3)) for frame in frames], dim=1)  # (B, T, D)
    torch.testing.assert_close(found, torch.stack([each[:, s : s + 16].mean(dim=1) for s in (0, 10)], dim=1))
    found.sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


class Particular(TinyBackbone):
    """As a transformer with position embeddings."""

    clip_frames, clip_size = 8, 12


@pytest.mark.parametrize(
    ("clips", "words"),
    [
        (plan(16, size=12), r"clips\.frames=16: Particular takes clips of 8 only; say clips\.frames=8"),
        (plan(None, size=12), r"clips\.frames=None: Particular .* say clips\.frames=8"),
        (plan(8, size=16), r"clips\.size=16: Particular takes clips of 12 only; say clips\.size=12"),
        (plan(8), r"clips\.size=None: Particular .* say clips\.size=12"),
        (
            ClipPlans(one=plan(8, size=12), other=plan(8, size=13)),
            r"^clips\.other\.size=13: .* say clips\.other\.size=12",
        ),
    ],
)
def test_a_plan_that_a_network_does_not_take_is_refused_at_once(clips: ClipPlan | ClipPlans, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        encoder(Particular(4), clips)
    assert "\n" not in str(refused.value)


def test_a_plan_that_a_network_takes() -> None:
    seen = []
    network = Particular(4)
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[2:]))
    encoder(network, plan(8, 5, size=12))(made_sample(noise(1, 18, 16)))
    assert seen == [(8, 12, 12)]


class AgainstTheOthers(Backbone):
    """A clip's map is its difference to the mean of the pass."""

    feature_size = 3
    mixes_clips = True

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, clips: Tensor, after: str | None = None, until: str | None = None) -> Tensor:  # noqa: ARG002
        return self.scale * (clips - clips.mean(dim=0)).square()


def test_clips_that_mix_go_position_by_position() -> None:
    video = noise(3, 26, 4)
    model = encoder(AgainstTheOthers().double(), ClipPlans(one=plan(16, 10), other=plan(5, 21)))
    seen = passes(model.network)
    found = model(made_sample(video))
    assert seen == [3, 3, 3, 3]
    expected = [by_hand(model.network, video, [0, 10]), by_hand(model.network, video, [0, 21], 5)]
    torch.testing.assert_close(found, torch.cat(expected, dim=1))
    assert not torch.allclose(found[:1], model(made_sample(video[:1])))  # it does depend on the others


def test_clips_that_mix_are_not_computed_apart() -> None:
    with pytest.raises(InputError, match=r"backbone\.clips_per_pass") as refused:
        encoder(AgainstTheOthers(), clips_per_pass=1)
    assert "\n" not in str(refused.value)
    assert "freeze_bn" not in str(refused.value)  # which it has nothing to do with


# a subclass that opens the network


class TubeEncoder(VideoEncoder):
    """TSA-Net's kind: between two stages the cells inside of the athlete's box get a learnt weight."""

    def __init__(self, *given: Any, stage: str, width: int, **more: Any) -> None:
        super().__init__(*given, **more)
        self.stage, self.gain = stage, nn.Parameter(torch.zeros(width))

    def encode(self, videos: Sample, plan: ClipPlan) -> Tensor:
        maps = self.network(self.clips_of(videos.video, plan), until=self.stage)  # (B n, C, t, h, w)
        boxes = plan.cut_boxes(videos.boxes, (videos.video.shape[3], videos.video.shape[4])).flatten(0, 1)
        tube = tube_of(boxes, maps.shape[2:]).to(maps.dtype)
        maps = maps * (1 + self.gain.view(-1, 1, 1, 1) * tube[:, None])
        return pooled(self.network(maps, after=self.stage)).unflatten(0, (len(videos.video), -1))


def tube_of(boxes: Tensor, cells: torch.Size) -> Tensor:
    """(N, frames, 4) shares -> (N, t, h, w) bool: the cells whose centre is in the box of the first of their frames."""
    t, h, w = cells
    first = boxes[:, :: boxes.shape[1] // t]  # (N, t, 4)
    x, y = (torch.arange(w) + 0.5) / w, (torch.arange(h) + 0.5) / h
    columns = (first[..., :1] < x) & (x < first[..., 2:3])
    rows = (first[..., 1:2] < y) & (y < first[..., 3:4])
    return rows[..., :, None] & columns[..., None, :]


def tube(network: nn.Module) -> TubeEncoder:
    return TubeEncoder(network, plan(16, 10), True, None, stage="layers.1", width=8)


def test_a_subclass_between_two_stages_sees_the_boxes_of_its_clips() -> None:
    """At a weight of 0 it is the plain encoder; then a box tells, and only in the clips that it is in."""
    network, videos = TinyBackbone(4).double(), made_sample(noise(2, 26, 16))
    model = tube(network).double()
    torch.testing.assert_close(model(videos), encoder(network)(videos), rtol=0, atol=0)
    nn.init.constant_(model.gain, 3.0)
    nowhere, late = videos.boxes.clone(), videos.boxes.clone()
    nowhere[:] = -1.0  # the edges of an empty box meet
    late[:] = -1.0
    late[:, 20:] = torch.tensor([0.0, 0.0, 7.0, 7.0])
    plain, found = model(videos._replace(boxes=nowhere)), model(videos._replace(boxes=late))
    torch.testing.assert_close(plain, encoder(network)(videos), rtol=0, atol=0)
    torch.testing.assert_close(found[:, 0], plain[:, 0], rtol=0, atol=0)  # frames 0 to 15
    assert not torch.allclose(found[:, 1], plain[:, 1])  # frames 10 to 25


def test_a_subclass_between_two_stages_trains_both_halves() -> None:
    torch.manual_seed(0)
    model = USDL(tube(TinyBackbone(4)), "score", 101, 5.0, "batchmean")
    model.max_label = torch.tensor(100.0, dtype=torch.float64)
    nn.init.constant_(model.encoder.gain, 0.5)
    videos = made_sample(noise(4, 26, 16))
    videos = videos._replace(boxes=torch.tensor([2.0, 2.0, 9.0, 9.0]).expand(4, 26, 4))
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    model.optimisation = Optimisation(torch.optim.Adam, 1e-3, 1e-3, 0.0)
    optimizer = model.configure_optimizers()
    sum(model.losses(*model.encode_batch(videos)).values()).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name
    optimizer.step()
    assert not any(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    assert {name for name in before if name.startswith("encoder.")} > {"encoder.gain"}
    backbone = next(group for group in optimizer.param_groups if group["name"] == "backbone")
    assert any(weight is model.encoder.gain for weight in backbone["params"])
