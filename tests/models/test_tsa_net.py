"""TSA-Net against what its published code computes, and its tube, clips and statistics by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from swapaqa.augment.swap import swap_background
from swapaqa.batch import Sample, TrainingLabels, map_columns
from swapaqa.boxes.fixed import FixedBoxes, NoBoxes
from swapaqa.errors import InputError
from swapaqa.models.clip_plan import ClipPlan
from swapaqa.models.encoder import channels_after
from swapaqa.models.i3d import I3D
from swapaqa.models.published import SYSTEMS, our_name
from swapaqa.models.score_distribution import ScoreDistributionHead
from swapaqa.models.tiny import TinyBackbone
from swapaqa.models.tsa_net import TSANet, TubeEncoder
from swapaqa.models.tube_attention import TubeAttention, covered_shares, tube_of
from swapaqa.running.needs import refuse_missing_boxes
from tests.golden import Arrays, doubles, equal, equal_gradients, golden, load, state_of
from tests.made_videos import encoder, made_encoded, made_sample, noise

SYSTEM = next(system for system in SYSTEMS if system.name == "TSA-Net")


def of_tube(key: str) -> str:
    return our_name(f"TSA_module.{key}", SYSTEM).removeprefix("encoder.tube.")


def tube(found: Arrays, width: int) -> TubeAttention:
    """The block with the weights of a golden."""
    block = TubeAttention(width)
    load(block, {of_tube(key): value for key, value in state_of(found).items()})
    return block


def test_the_block_is_that_of_the_published_code() -> None:
    found = golden("tsanet_small.npz")
    maps, probe = doubles(found, "in/feat", "in/probe")
    for name in ("out", "out_published"):
        cells = torch.from_numpy(found[f"{name}/mask"]).bool()
        assert cells.flatten(1).sum(dim=1).tolist() == found[f"{name}/tokens"].tolist()
        enhanced = tube(found, 8).eval()(maps, cells)
        equal(enhanced, found[f"{name}/enhanced"])
        means = enhanced.unflatten(2, (7, 4)).mean(dim=(3, 4, 5)).mT  # clips in their order
        equal(means, found[f"{name}/clip_mean"], 1e-6)
    block = tube(found, 8).train()
    cells = torch.from_numpy(found["out/mask"]).bool()
    enhanced = block(maps, cells)
    equal(enhanced.unflatten(2, (7, 4)).mean(dim=(3, 4, 5)).mT, found["out_train/enhanced_clip_mean"])
    loss = (enhanced * probe).sum()
    equal(loss, found["loss/probe"])
    for name in ("running_mean", "running_var"):
        equal(getattr(block.norm, name), found[f"bn_after/NL_1D.W.1.{name}"])
    loss.backward()
    assert np.abs(found.pop("grad/NL_1D.W.0.bias")).max() < 1e-12  # rounding: BatchNorm takes this bias out
    equal_gradients(block, found, of_tube)


def test_the_block_at_480_channels_is_that_of_the_published_code() -> None:
    found = golden("tsanet_block480.npz")
    maps, probe = doubles(found, "in/feat", "in/probe")
    cells = torch.from_numpy(found["in/mask"]).bool()
    for mode, name in ((False, "out"), (True, "out_train")):
        block = tube(found, 480).train(mode)
        enhanced = block(maps, cells)
        equal(enhanced.movedim(1, -1)[cells], found[f"{name}/enhanced_tokens"])
        assert torch.equal(enhanced.movedim(1, -1)[~cells], maps.movedim(1, -1)[~cells])
    loss = (probe * enhanced.mean(dim=(0, 2, 3, 4))).sum()
    equal(loss, found["loss/probe"])
    loss.backward()
    assert max(np.abs(value).max() for key, value in found.items() if key.startswith("grad/")) < 1e-12  # rounding
    norm = torch.stack([weight.grad.square().sum() for weight in block.parameters() if weight.grad is not None])
    equal(norm.sum().sqrt(), found["grad_norm/all"], 1e-8)


def test_the_head_and_both_losses_are_those_of_the_published_code() -> None:
    found = golden("tsanet_head.npz")
    model = model_of(TinyBackbone(2))
    model.head = ScoreDistributionHead(1024, 1)
    ours = {our_name(f"evaluator.{key}", SYSTEM): value for key, value in state_of(found).items()}
    load(model.head, {key.removeprefix("head."): value for key, value in ours.items()})
    clips, label, share = doubles(found, "in/clip_features", "in/label", "in/label01")
    videos = made_encoded(clips, label=share[:, 0] * model.max_label)
    equal(model.share(videos)[:, None], found["out/prob"])
    equal(model.score(videos, None).label[:, None] / model.max_label, found["score"])
    equal(model.losses(videos, None)["squared_error"], found["loss/mse_regression_variant"])
    loss = F.binary_cross_entropy(model.share(videos)[:, None], label)  # of its own task
    equal(loss, found["loss/bce"])
    loss.backward()

    def of_head(key: str) -> str:
        return our_name(f"evaluator.{key}", SYSTEM).removeprefix("head.")

    equal_gradients(model.head, found, of_head)
    assert sum(weight.numel() for weight in model.head.parameters()) == 295_425


@pytest.mark.parametrize(
    ("stage", "width", "count"),
    [("mixed_4e", 528, 559_680), ("pool_4a", 480, 462_720), ("mixed_4d", 512, 526_336), ("mixed_5b", 832, 1_387_776)],
)
def test_the_block_has_the_published_number_of_parameters(stage: str, width: int, count: int) -> None:
    with torch.device("meta"):
        assert channels_after(I3D(), stage) == width
        assert sum(weight.numel() for weight in TubeAttention(width).parameters()) == count


# the tube


def test_a_cell_counts_by_how_much_of_it_a_box_covers() -> None:
    plan = ClipPlan(1, 1, None, None)
    box = torch.tensor([[[12.0, 4.0, 27.0, 15.0]]])  # 16 columns and 12 rows of pixels of 32 x 16
    edges = plan.cut_boxes(box, (16, 32))
    found = covered_shares(edges, (2, 4))[0, 0, 0]
    assert found.tolist() == [[0, 0.25, 0.5, 0.25], [0, 0.5, 1.0, 0.5]]
    assert (found > 0.5).sum() == 1
    assert covered_shares(edges, (16, 32)).sum() == 12 * 16
    outside = plan.cut_boxes(torch.tensor([[[-40.0, 0.0, -9.0, 15.0]]]), (16, 32))
    assert not covered_shares(outside, (2, 4)).any()
    half = plan.cut_boxes(torch.tensor([[[16.0, -99.0, 99.0, 99.0]]]), (16, 32))
    assert covered_shares(half, (2, 4))[0, 0, 0].tolist() == [[0, 0, 1, 1]] * 2


def test_a_slot_has_what_one_of_its_frames_has() -> None:
    inside = torch.zeros(1, 8, 1, 3, dtype=torch.bool)
    inside[0, 3, 0, 1] = inside[0, 4, 0, 2] = True
    assert tube_of(inside, 2)[0, :, 0].tolist() == [[False, True, False], [False, False, True]]


def test_nothing_changes_at_first_and_nothing_ever_outside_of_the_tube() -> None:
    torch.manual_seed(0)
    block, maps = TubeAttention(6).double(), torch.randn(2, 6, 3, 4, 4, dtype=torch.float64)
    cells = torch.rand(2, 3, 4, 4) > 0.6
    assert torch.equal(block(maps, cells), maps)
    torch.nn.init.ones_(block.norm.weight)
    changed = (block(maps, cells) != maps).any(dim=1)
    assert torch.equal(changed, cells)


@pytest.mark.parametrize("training", [True, False])
def test_an_empty_tube_and_a_single_cell_are_no_error(training: bool) -> None:
    block = TubeAttention(4).double().train(training)
    torch.nn.init.ones_(block.norm.weight)
    maps, cells = torch.randn(3, 4, 2, 2, 2).double(), torch.zeros(3, 2, 2, 2, dtype=torch.bool)
    cells[1, 0, 0, 1] = True
    cells[2] = True
    enhanced = block(maps, cells)
    enhanced.sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in block.parameters())
    assert torch.equal(enhanced[0], maps[0])
    alone = TubeAttention(4).double().train(training)
    alone.load_state_dict(block.state_dict() | {"norm.running_mean": torch.zeros(4), "norm.running_var": torch.ones(4)})
    torch.testing.assert_close(alone(maps[2:], cells[2:]), enhanced[2:])  # no video sees another's tokens
    assert torch.equal(alone.norm.running_var, block.norm.running_var)  # those of too few tokens are not learnt
    empty = alone(maps[:1], cells[:1])
    empty.sum().backward()  # of no video with a tube; several processes ask for a gradient of every weight


# as an encoder


def boxed(count: int, size: int = 32, frames: int = 24, seed: int = 0) -> Sample:
    """Videos of noise, with a box of a quarter of the frame that wanders."""
    sample = made_sample(noise(count, frames, size, seed=seed))
    left = torch.linspace(0, size / 2, frames)[:, None] * torch.tensor([1, 0, 1, 0])
    boxes = left + torch.tensor([0, size // 4, size / 2 - 1, 3 * size // 4 - 1])
    return sample._replace(boxes=boxes.expand(count, frames, 4).contiguous())


def model_of(network: torch.nn.Module, clips: ClipPlan | None = None, **changes: Any) -> TSANet:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "target": "score", "stage": None, "coverage": 0.5, "readout": "regression", "num_bins": 21, "std": 2.0,
        "reduction": "batchmean",
    }  # fmt: skip
    model = TSANet(
        encoder(network, clips or ClipPlan(8, 8, None, None), **changes.pop("encoder", {})), **given | changes
    )
    torch.nn.init.constant_(model.encoder.tube.norm.weight, 0.5)
    zero = torch.zeros(12, dtype=torch.int64)
    model.learn_scale(TrainingLabels(torch.linspace(10, 90, 12).double(), zero, zero, max_label=100.0))
    return model.double()


def test_without_a_tube_it_is_the_encoder_that_it_was_made_of_and_clips_keep_their_order() -> None:
    network, sample = TinyBackbone(2).double(), boxed(2)
    plain, model = encoder(network, ClipPlan(8, 8, None, None)).double().eval(), model_of(network).eval()
    elsewhere = sample._replace(boxes=sample.boxes - 1000)
    torch.testing.assert_close(model.encoder(elsewhere), plain(sample), rtol=0, atol=1e-12)
    assert not torch.allclose(model.encoder(sample), plain(sample))


def test_tokens_of_all_clips_of_a_video_meet_and_of_no_other_video() -> None:
    model, sample = model_of(TinyBackbone(2)).eval(), boxed(2)
    whole = model.encoder(sample)
    one = map_columns(sample, lambda column: column[:1], lambda ids: ids[:1])
    torch.testing.assert_close(model.encoder(one), whole[:1], rtol=0, atol=1e-12)
    video = sample.video.clone()
    video[:, :, 16:] = 0  # the last clip
    moved = (model.encoder(sample._replace(video=video)) - whole).abs().amax(dim=2)
    assert (moved > 1e-9).all()


@pytest.mark.parametrize("clips_per_pass", [1, 2])
def test_clip_by_clip_it_is_the_same_with_the_same_gradients(clips_per_pass: int) -> None:
    found = []
    for passes in (None, clips_per_pass):
        model = model_of(TinyBackbone(2), encoder={"clips_per_pass": passes})
        model.encoder(boxed(2)).square().sum().backward()
        found.append([weight.grad for weight in model.encoder.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_live_statistics_are_those_of_a_clip_position() -> None:
    network = I3D().double()
    model = model_of(network, ClipPlan(8, 8, None, None), encoder={"freeze_bn": False}).train()
    with torch.no_grad():
        model.encoder(boxed(1, size=64))
    counts = {int(layer.num_batches_tracked) for layer in network.modules() if hasattr(layer, "num_batches_tracked")}
    assert counts == {3}  # clips; neither finding the channels nor the second half counts one more


def test_a_mask_says_where_the_athlete_is_more_finely() -> None:
    model, sample = model_of(TinyBackbone(2)), boxed(1)
    boxes = model.encoder.cells(sample, model.encoder.plans[0], (2, 4, 4))
    frame = torch.arange(32)
    left, top = sample.boxes[..., 0, None], sample.boxes[..., 1, None]
    across = (frame >= left.round()) & (frame < left.round() + 16)
    down = (frame >= top) & (frame < top + 16)
    mask = down[..., :, None] & across[..., None, :]  # what the box covers
    masked = sample._replace(mask=mask, boxes=torch.zeros_like(sample.boxes))
    same = model.encoder.cells(masked, model.encoder.plans[0], (2, 4, 4))
    assert (same == boxes).double().mean() > 0.9  # boxes between pixels are rounded here
    half = masked._replace(mask=mask & (frame < 16)[:, None])
    assert not model.encoder.cells(half, model.encoder.plans[0], (2, 4, 4))[:, :, 2:].any()


def test_a_swapped_video_keeps_the_tube_of_its_foreground() -> None:
    sample = boxed(2)
    model = model_of(TinyBackbone(2))
    before = model.encoder.cells(sample, model.encoder.plans[0], (2, 4, 4))
    swapped = sample._replace(video=swap_background(sample.video, sample.boxes, torch.tensor([1, 0]), ratio=1.0))
    assert not torch.equal(swapped.video, sample.video)
    assert torch.equal(model.encoder.cells(swapped, model.encoder.plans[0], (2, 4, 4)), before)


# as a method


def test_with_the_distribution_it_scores_as_usdl() -> None:
    model = model_of(TinyBackbone(2), readout="distribution").eval()
    videos = model.encode(boxed(3))
    found = model.score(videos, None)
    probs = model.head(videos.mean_feature).exp()
    torch.testing.assert_close(found.label, probs.argmax(dim=1).double() * 5)
    assert (found.std > 0).all()
    terms = model.losses(videos, None)
    assert list(terms) == ["divergence"]
    assert model.differentiable_label(videos, None).requires_grad


def test_the_tube_learns_with_the_head_and_every_weight_has_one_rate() -> None:
    model = model_of(TinyBackbone(2))
    groups = model.parameter_groups()
    assert {id(weight) for weight in model.encoder.tube.parameters()} <= {id(weight) for weight in groups["head"]}
    ids = [id(weight) for own in groups.values() for weight in own]
    assert sorted(ids) == sorted(id(weight) for weight in model.parameters())


class Vectors(torch.nn.Module):
    feature_size = 4

    def forward(self, clips: Tensor, after: str | None = None, until: str | None = None) -> Tensor:  # noqa: ARG002
        return clips.mean(dim=(2, 3, 4))


def test_a_run_without_boxes_is_refused() -> None:
    none, fixed = (SimpleNamespace(boxes=boxes) for boxes in (NoBoxes(1.0), FixedBoxes(1.0, 0.8, "input")))
    refuse_missing_boxes(model_of(TinyBackbone(2)), fixed)
    with pytest.raises(InputError, match=r"boxes: TSANet looks at where the athlete is.* say boxes=darklabel"):
        refuse_missing_boxes(model_of(TinyBackbone(2)), none)


def test_what_it_cannot_look_into_is_refused() -> None:
    whole = encoder(TinyBackbone(2), ClipPlan(8, 8, None, None))
    with pytest.raises(InputError, match=r"TinyBackbone has no stage mixed_4e; it has layers\.0"):
        TubeEncoder(whole, "mixed_4e", 0.5)
    with pytest.raises(InputError, match=r"model\.coverage=1\.0: a share from 0"):
        TubeEncoder(whole, None, 1.0)
    with pytest.raises(InputError, match=r"model\.stage: name one of Vectors"):
        TubeEncoder(encoder(Vectors()), None, 0.5)
