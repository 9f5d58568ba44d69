"""Grad-CAM against loops and a gradient worked out by hand, planted cases, and the layers that networks name."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swapaqa.batch import Encoded, Sample
from swapaqa.errors import InputError
from swapaqa.models import i3d
from swapaqa.models.backbone import Backbone
from swapaqa.models.clip_plan import ClipPlan, ClipPlans
from swapaqa.models.encoder import VideoEncoder, pooled
from swapaqa.models.gradcam import (
    Clips,
    Grid,
    captured_output,
    enlarge,
    explain,
    grad_cam,
    gradcam_layer,
    join_clips,
    mass_share,
    through_grid,
)
from swapaqa.models.i3d import I3D
from swapaqa.models.normalisation import PLUS_MINUS_ONE, Named
from swapaqa.models.score_distribution import score_distribution
from swapaqa.models.scorer import Predicted, Scorer
from swapaqa.models.tiny import TinyBackbone
from swapaqa.models.usdl import MUSDL, USDL
from tests import made_videos
from tests.made_videos import encoder, made_encoded, made_labels, made_sample, plan


def test_grad_cam_is_equations_1_and_2() -> None:
    """Of target = sum over channels of c_k * (sum over positions of A_k)^2, whose gradient is 2 c_k sum(A_k)."""
    maps = torch.randn(2, 3, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    factors = (0.5, -1.0, 2.0)
    leaf = maps.clone().requires_grad_()
    target = sum(c * leaf[:, k].sum(dim=(1, 2, 3)).square() for k, c in enumerate(factors))
    (gradients,) = torch.autograd.grad(target.sum(), leaf)
    expected = torch.zeros(2, 2, 3, 4, dtype=torch.float64)
    for n in range(2):
        for t in range(2):
            for y in range(3):
                for x in range(4):
                    for k, c in enumerate(factors):
                        weight = 2 * c * float(maps[n, k].sum())  # the same everywhere, so its mean is itself
                        expected[n, t, y, x] += weight * maps[n, k, t, y, x]
    expected = expected.clamp(min=0)
    assert 0 < (expected > 0).float().mean() < 1  # the ReLU has something to do
    torch.testing.assert_close(grad_cam(maps, gradients), expected)


def test_the_weight_of_a_channel_is_the_mean_of_its_gradient() -> None:
    """One pixel of four is in the target: by Eq. (1) the channel counts a quarter everywhere."""
    maps, gradients = torch.ones(1, 1, 1, 2, 2), torch.zeros(1, 1, 1, 2, 2)
    gradients[..., 0, 0] = 1.0
    assert grad_cam(maps, gradients).tolist() == [[[[0.25, 0.25], [0.25, 0.25]]]]


def test_enlarged_maps_are_trilinear_as_pytorch_has_it_where_cells_share_the_axis() -> None:
    maps = torch.rand(2, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    grid = Grid((2, 3, 4), (8, 12, 12), (1.5, 1.5, 1.0))
    expected = F.interpolate(maps[:, None], (8, 12, 12), mode="trilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(enlarge(maps, grid), expected)


def test_a_cell_is_brightest_where_it_is_centred() -> None:
    maps = torch.zeros(1, 2, 4, 4)
    maps[0, 1, 2, 1] = 1.0
    large = enlarge(maps, Grid((2, 4, 4), (16, 64, 64), (0.0, 5.0, 3.0)))
    assert np.argwhere(large[0].numpy() == 1.0)[0].tolist() == [8, 37, 19]
    assert float(large[0, 8, 37, 19 + 8]) == 0.5  # half a cell away
    assert float(large[0, 15, 37, 19]) == 1.0  # beyond the last centre


def test_a_box_through_the_grid() -> None:
    """By hand, in one dimension: cells at 1 and 5 of 8 columns, a box of the columns 0 to 2."""
    grid = Grid((1, 1, 2), (1, 1, 8), (0.0, 0.0, 1.0))
    counts = torch.tensor([[1, 1, 0.75, 0.5, 0.25, 0, 0, 0], [0, 0, 0.25, 0.5, 0.75, 1, 1, 1]])  # of the two cells
    one, other = 2.75 / 3.5, 0.25 / 4.5  # of what each counts, the part in the box
    inside = torch.zeros(1, 1, 8, dtype=torch.bool)
    inside[..., :3] = True
    clips = [Clips(grid, [0])]
    torch.testing.assert_close(through_grid(inside, clips)[0, 0], counts[0] * one + counts[1] * other)
    assert bool((through_grid(torch.ones_like(inside), clips) == 1).all())


def centre_of_view(network: nn.Module, size: tuple[int, int, int], cell: tuple[int, int, int]) -> list[float]:
    """The centre of mass (frame, row, column) of what one cell of the gradcam layer sees in a clip of `size`."""
    clip = torch.ones(1, 3, *size, requires_grad=True)
    seen: list[Tensor] = []
    gradcam_layer(network).register_forward_hook(lambda *call: seen.append(call[-1]))
    network(clip)
    seen[0][(0, slice(None), *cell)].sum().backward()
    weight = clip.grad[0].sum(dim=0).double()
    places = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")
    return [float((weight * place).sum() / weight.sum()) for place in places]


def test_the_origin_of_the_tiny_backbone_is_where_its_first_cell_looks() -> None:
    network = TinyBackbone(2)
    for block in network.layers:
        block[1] = nn.Identity()  # normalisation over the whole clip has no place
        nn.init.ones_(block[0].weight)
    found = centre_of_view(network, (32, 64, 64), (2, 2, 2))  # far enough from every edge
    steps = (4, 16, 16)
    expected = [origin + 2 * step for origin, step in zip(network.gradcam_origin, steps, strict=True)]
    assert found == pytest.approx(expected)


@pytest.mark.slow
def test_the_origin_of_i3d_is_where_its_first_cell_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """With averages for maxima, and of the convolutions around a place only the place itself, so that edges are far."""
    monkeypatch.setattr(i3d.F, "max_pool3d", F.avg_pool3d)
    network = I3D().eval()
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv3d):
            nn.init.constant_(layer.weight, 0.0 if "branch_3" in name else 1 / layer.in_channels)
            if layer.kernel_size == (3, 3, 3):
                layer.weight.data *= F.pad(torch.ones(1, 1, 1), (1,) * 6)
    found = centre_of_view(network, (32, 96, 96), (1, 1, 1))
    expected = [origin + step for origin, step in zip(network.gradcam_origin, (8, 32, 32), strict=True)]
    assert found == pytest.approx(expected)


def test_overlapping_clips_are_averaged_where_they_overlap() -> None:
    maps = torch.arange(1.0, 4.0).view(3, 1, 1, 1).expand(3, 4, 2, 2)  # the clips are 1, 2 and 3
    joined = join_clips([maps], [[0, 2, 5]], 10)
    expected = []
    for t in range(10):
        over = [value for value, start in ((1, 0), (2, 2), (3, 5)) if start <= t < start + 4]
        expected.append(sum(over) / len(over) if over else 0.0)
    assert expected == [1, 1, 1.5, 1.5, 2, 2.5, 3, 3, 3, 0]
    assert joined[:, 1, 0].tolist() == expected
    of_two_plans = join_clips([maps[:1], torch.full((2, 3, 2, 2), 5.0)], [[0], [2, 7]], 10)
    assert of_two_plans[:, 0, 1].tolist() == [1, 1, 3, 3, 5, 0, 0, 5, 5, 5]


def test_mass_share() -> None:
    found, inside = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[True, False], [False, True]]])
    assert mass_share(found, inside) == pytest.approx(0.5)
    assert mass_share(torch.full((1, 2, 2), 7.0), inside) == pytest.approx(float(inside.float().mean()))
    assert math.isnan(mass_share(torch.zeros(1, 2, 2), inside))


class Corner(Backbone):
    """Its score is the mean of what is brighter than grey in the upper left quarter of a clip, over the whole clip."""

    feature_size = 1
    normalisation = PLUS_MINUS_ONE
    gradcam_layer = "maps"

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.AvgPool3d((4, 4, 4))
        self.unused = nn.Parameter(torch.zeros(1))  # whose type the encoder asks for

    def forward(self, clips: Tensor, after: str | None = None, until: str | None = None) -> Tensor:  # noqa: ARG002
        seen = torch.zeros_like(clips)
        seen[..., :8, :8] = clips[..., :8, :8].relu()
        return self.maps(seen).relu_().mean(dim=1, keepdim=True)  # in place, as the next layer of a network may


class Plain(Scorer):
    """The feature is the label."""

    sign = 1.0

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:
        raise NotImplementedError

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:  # noqa: ARG002
        label = self.sign * videos.mean_feature[:, 0].double()
        return Predicted(label, torch.full_like(label, torch.nan))


def plain(network: nn.Module, clips: ClipPlan | ClipPlans | None = None) -> Plain:
    scorer = Plain(encoder(network, clips or plan(8, 4), freeze_bn=False))
    return scorer.eval().requires_grad_(False)


def noise() -> Sample:
    """A video of 16x16 pixels, equally bright everywhere on average, whose points are twice its label."""
    factor = torch.full((1,), 2.0, dtype=torch.float64)
    return made_sample(made_videos.noise(1, 16), made_labels(1, factor=factor), "test")


def test_a_network_that_reads_one_corner_has_its_map_there() -> None:
    scorer, video = plain(Corner()), noise()
    found = explain(scorer, video, None)
    assert found.clips == [Clips(Grid((2, 4, 4), (8, 16, 16), (1.5, 1.5, 1.5)), [0, 4, 8])]
    assert found.map.shape == (16, 16, 16)
    inside = torch.zeros(16, 16, 16, dtype=torch.bool)
    inside[:, :8, :8] = True
    assert mass_share(found.map, inside) > 0.85  # chance is 0.25; the rest is interpolation over the edge
    assert mass_share(found.map, ~inside.flip(1, 2)) > 0.95  # nothing at the other end
    seen = (2 * video.video.float() / 255 - 1).relu()[..., :8, :8].sum(dim=(0, 1, 3, 4))  # by frame
    clips = torch.stack([seen[start : start + 8].sum() for start in (0, 4, 8)]) / (3 * 8 * 16 * 16)
    assert found.score == pytest.approx(2 * float(clips.mean()), rel=1e-5)  # factor 2


def alive() -> TinyBackbone:
    """A network whose first channel is not zero everywhere."""
    torch.manual_seed(0)
    network = TinyBackbone(4)
    nn.init.constant_(network.layers[3][1].bias, 1.0)
    return network


@pytest.mark.parametrize("size", [None, 24])
def test_the_maps_of_several_plans_are_joined(size: int | None) -> None:
    """The score is the mean over the clips of both, so that each clip's map is weighed as one of all four."""
    network, first, second = alive(), plan(8, 4), plan(12, 1, last_start=0, size=size)
    both = explain(plain(network, ClipPlans(one=first, other=second)), noise(), None)
    alone = [explain(plain(network, own), noise(), None) for own in (first, second)]
    assert both.clips == [clips for one in alone for clips in one.clips]
    assert [clips.starts for clips in both.clips] == [[0, 4, 8], [0]]
    assert both.clips[1].grid.size == (12, 16, 16)  # of the video, whatever the network sees
    assert both.clips[1].grid.cells[1:] == ((1, 1) if size is None else (2, 2))
    expected = torch.zeros(16, 16, 16)
    for t in range(16):
        covering = [sum(start <= t < start + 8 for start in (0, 4, 8)), int(t < 12)]
        maps = [one.map[t] * share for one, share in zip(alone, (3 / 4, 1 / 4), strict=True)]
        expected[t] = sum(count * of_plan for count, of_plan in zip(covering, maps, strict=True)) / sum(covering)
    assert expected.any()
    torch.testing.assert_close(both.map, expected)
    assert both.score == pytest.approx((3 * alone[0].score + alone[1].score) / 4, rel=1e-5)


def test_a_map_of_resized_clips_lies_where_the_score_comes_from() -> None:
    """The network sees the clip at half its size, and names the origin of its grid in what it sees."""
    video = noise()
    for size, corner in ((16, 8), (32, 4)):  # Corner reads eight rows and columns: half of the frame, or a quarter
        found = explain(plain(Corner(), plan(8, 4, size=size)), video, None)
        inside = torch.zeros(16, 16, 16, dtype=torch.bool)
        inside[:, : corner + 1, : corner + 1] = True
        assert mass_share(found.map, inside) > 0.85
    network = TinyBackbone(2)
    grids = [explain(plain(network, plan(8, 4, size=size)), video, None).clips[0].grid for size in (None, 8, 32)]
    assert [grid.origin for grid in grids] == [(0.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.0, -0.25, -0.25)]


@pytest.mark.parametrize("make", [alive, Corner])
def test_clip_by_clip_the_map_is_the_same(make: Callable[[], Backbone]) -> None:
    """As a checkpoint has it that was trained so; also where layers follow the one that is looked at."""
    whole, parts = plain(make()), plain(make())
    parts.encoder.clips_per_pass = 1
    found, expected = explain(parts, noise(), None), explain(whole, noise(), None)
    assert expected.map.any()
    torch.testing.assert_close(found.map, expected.map)
    assert found.clips == expected.clips


def test_what_lowers_the_score_has_no_map() -> None:
    scorer = plain(Corner())
    scorer.sign = -1.0
    assert not explain(scorer, noise(), None).map.any()


def test_a_frame_that_no_clip_covers_has_no_mass() -> None:
    scorer = plain(Corner(), plan(8, 4, last_start=7))  # of 0 to 8
    found = explain(scorer, noise(), None).map.sum(dim=(1, 2))
    assert found[14] > 0
    assert found[15] == 0


def test_nothing_of_the_scorer_changes() -> None:
    scorer = plain(TinyBackbone(4)).requires_grad_(True)
    before = {name: value.clone() for name, value in scorer.state_dict().items()}
    explain(scorer, noise(), None)
    assert all(parameter.grad is None for parameter in scorer.parameters())
    assert not scorer.encoder.network.layers[3]._forward_hooks
    assert all(torch.equal(value, before[name]) for name, value in scorer.state_dict().items())


@pytest.mark.parametrize(
    ("make", "channels", "grid"), [(I3D, 1024, (2, 1, 1)), (partial(TinyBackbone, 4), 16, (4, 2, 2))]
)
def test_the_layer_is_the_last_before_the_average(make: Callable[[], nn.Module], channels: int, grid: tuple) -> None:
    network, seen = make(), []
    gradcam_layer(network).register_forward_hook(lambda *call: seen.append(call[-1]))
    with torch.no_grad():
        feature = pooled(network.eval()(torch.randn(1, 3, 16, 32, 32)))
    assert seen[0].shape == (1, channels, *grid)
    torch.testing.assert_close(seen[0].mean(dim=(2, 3, 4)), feature)


def test_a_network_without_a_layer_is_told_what_to_add() -> None:
    with pytest.raises(InputError, match=r'Linear does not say .* like gradcam_layer = "layers.3"'):
        gradcam_layer(nn.Linear(1, 1))
    wrong = Corner()
    wrong.gradcam_layer = "layers.9"
    with pytest.raises(InputError, match=r"Corner.gradcam_layer = 'layers.9': it has no such block"):
        gradcam_layer(wrong)


def test_a_layer_without_a_part_in_the_score_is_refused() -> None:
    network = Corner()
    network.idle = nn.Identity()
    network.gradcam_layer = "idle"
    video = noise()
    with pytest.raises(InputError, match=r"maps of .* are needed"):
        explain(plain(network), video, None)
    scorer = plain(Corner())
    scorer.sign = torch.tensor(0.0)
    scorer.score = lambda videos, _: Predicted(videos.labels.label, videos.labels.label)
    with pytest.raises(InputError, match=r"score of Plain has no gradient .* differentiable_label"):
        explain(scorer, video, None)


def encoded(feature: Tensor) -> Encoded:
    """A video of one clip with the offset 3, the factor 2 and a difficulty of 1.5."""
    one = torch.ones(len(feature), dtype=torch.float64)
    return made_encoded(feature[:, None], offset=3 * one, factor=2 * one, difficulty=1.5 * one)


def tiny(width: int, normalisation: Named = "pm1") -> VideoEncoder:
    return encoder(TinyBackbone(width, normalisation), plan(8, 4), freeze_bn=False)


def test_the_differentiable_label_of_usdl_is_the_expectation() -> None:
    model = USDL(tiny(2), "score", 101, 5.0, "batchmean")
    model.max_label = torch.tensor(50.0)
    log_prob = score_distribution(torch.tensor([20.0]), 101, 50.0, 5.0).log()
    model.head = nn.Identity()
    feature = log_prob.clone().requires_grad_()
    label = model.differentiable_label(encoded(feature), None)
    by_hand = sum(float(log_prob[0, k].exp()) * k * 0.5 for k in range(101))
    assert float(label) == pytest.approx(by_hand)
    assert float(label) == pytest.approx(float(model.score(encoded(log_prob), None).label), abs=0.01)
    assert label.requires_grad


def test_the_differentiable_label_of_musdl_is_of_the_same_judges() -> None:
    model = MUSDL(tiny(2), 5, 21, 10.0, 2.0, "batchmean")
    model.heads = nn.Identity()
    judges = torch.tensor([[4.0, 5.0, 5.5, 6.0, 9.0]])
    feature = score_distribution(judges, 21, 10.0, 1.0).log().requires_grad_()
    label = model.differentiable_label(encoded(feature), None)
    assert float(label) == pytest.approx((1.5 * (5.0 + 5.5 + 6.0) - 3) / 2, abs=1e-3)
    (gradient,) = torch.autograd.grad(label.sum(), feature)
    assert gradient.abs().sum(dim=(0, 2)).gt(0).tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("seed", [4, 5])
def test_the_map_of_a_network_that_averages_is_the_score_s_slope_along_its_feature(seed: int) -> None:
    """Its sum without the ReLU is what the score changes by when the feature grows, by finite differences."""
    torch.manual_seed(seed)
    model = USDL(tiny(8, "imagenet"), "score", 101, 5.0, "batchmean").eval().double().requires_grad_(False)
    model.max_label = torch.tensor(100.0)
    with torch.enable_grad(), captured_output(gradcam_layer(model.encoder.network)) as outputs:
        videos = model.encode(noise())
        label = model.differentiable_label(videos, None)
    [output], [gradient] = outputs, torch.autograd.grad(label.sum(), outputs)
    assert torch.equal(gradient, gradient.mean(dim=(2, 3, 4), keepdim=True).expand_as(gradient))
    one, other = (
        model.differentiable_label(videos._replace(feature=videos.feature * factor), None) for factor in (1 + 1e-6, 1)
    )
    assert float((gradient * output).sum()) == pytest.approx(float(one - other) / 1e-6, rel=1e-4)
    assert explain(model, noise(), None).map.any()
