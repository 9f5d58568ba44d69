"""MSCADC-MTL against what its published code computes: the network, the three heads, the frames; and by hand."""

import re
from collections.abc import Callable
from typing import Any

import hydra
import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

from swapaqa.errors import InputError
from swapaqa.models.attributes import CLASSES, attribute_losses
from swapaqa.models.c3d_weights import read_c3d
from swapaqa.models.captions import caption_loss
from swapaqa.models.clip_plan import SpreadClip
from swapaqa.models.dilated_c3d import DilatedC3D
from swapaqa.models.i3d import I3D
from swapaqa.models.mscadc import MSCADC, ContextHeads, ContextMTL
from swapaqa.models.tiny import TinyBackbone
from tests.golden import doubles, equal, equal_gradients, golden, load, state_of
from tests.made_videos import encoder, made_encoded, made_sample, made_side, noise
from tests.models.test_c3d_avg_mtl import ATTRIBUTES, as_side, of_caption, without_dropout

PLAN = SpreadClip(16, 1, None, None)


def ours(key: str) -> str:
    """Our name of a published weight: `fs` is the score, `classifier` the attributes."""
    part, _, rest = key.partition(".")
    if part == "caption" and re.match("rnn|embedding|out", rest):
        return "captions.caption." + of_caption(rest)
    names = {"fs": "score", "classifier": "attributes", "caption": "captions"}
    for number in range(1, 6):
        rest = rest.replace(f"cntxt_conv{number}.", f"context.convolutions.{number - 1}.")
        rest = rest.replace(f"cntxt_bn{number}.", f"context.norms.{number - 1}.")
    for theirs, mine in (("head_conv1", "narrow"), ("cntxt_conv6", "join"), ("head_bn1", "join_norm")):
        rest = rest.replace(f"{theirs}.", f"context.{mine}.")
    rest = rest.replace("head_conv2.", "context.refine.").replace("head_bn2.", "context.refine_norm.")
    for mine, theirs in ATTRIBUTES.items():
        rest = rest.replace(f"head_conv3_{theirs}.", f"read.{mine}.")
    return f"{names[part]}." + rest.replace("head_conv3.", "read.")


def body(size: int) -> DilatedC3D:
    found = golden("mscadc_body.npz")
    network = DilatedC3D(32, size)
    load(network, state_of(found))
    return network


def test_maps_and_gradients_of_a_small_clip_are_those_of_the_published_code() -> None:
    found, network = golden("mscadc_body.npz"), body(36)
    (clips,) = doubles(found, "in/frames36")
    with torch.no_grad():
        equal(network.eval()(clips).unflatten(1, (-1, *network.map_shape)), found["out/map36"])
    maps = network.train()(clips).unflatten(1, (-1, *network.map_shape))
    equal(maps, found["out_train/map36"])
    loss = (maps.mean(dim=(0, 2, 3, 4)) * doubles(found, "in/probe")[0]).sum()
    equal(loss, found["loss/probe"])
    loss.backward()
    before_norm = network.conv5b.bias.grad  # behind which BatchNorm takes the mean away: rounding is all there is
    assert before_norm is not None
    assert max(before_norm.abs().max(), abs(found.pop("grad/conv5b.bias")).max()) < 1e-12
    equal_gradients(network, found, lambda key: key)


@pytest.mark.slow
@torch.no_grad()
def test_maps_of_a_clip_of_180_pixels_are_those_of_the_published_code() -> None:
    found, network = golden("mscadc_body.npz"), body(180)
    drawn = np.random.RandomState(int(found["in/frames180_recipe"][0])).uniform(-1, 1, (1, 3, 16, 180, 180))
    drawn = drawn.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose([drawn.sum(), np.abs(drawn).sum()], found["in/frames180_sum_abs"], rtol=1e-9)
    maps = network.eval()(torch.from_numpy(drawn)).unflatten(1, (-1, *network.map_shape))
    equal(maps.mean(dim=(0, 2, 3, 4)), found["out/map180_channel_mean"])
    equal(maps.mean(dim=(0, 1)), found["out/map180_spatial_mean"])


def recorded_maps(found: dict[str, np.ndarray]) -> Tensor:
    seed, count = (int(value) for value in found["in/map_recipe"])
    draws = np.random.RandomState(seed)
    level = draws.standard_normal((count, 256, 1, 1, 1))
    maps = np.maximum(level + 0.7 * draws.standard_normal((count, 256, 2, 20, 20)), 0).astype(np.float32)
    np.testing.assert_allclose([maps.astype(float).sum()] * 2, found["in/map_sum_abs"], rtol=1e-9)
    return torch.from_numpy(maps).double()


@pytest.mark.slow
def test_heads_losses_and_gradients_are_those_of_the_published_code() -> None:
    found = golden("mscadc_heads.npz")
    heads = ContextHeads(256, (20, 20), 12, True, True, 5779)
    load(heads, {ours(key): value for key, value in state_of(found).items()})
    without_dropout(heads)
    maps, points = recorded_maps(found), doubles(found, "in/raw_score")[0]
    with torch.no_grad():
        score, logits = heads.eval()(maps)
        equal(score, found["out/score"])
        equal(17 * score, found["score"])
        for mine, theirs in ATTRIBUTES.items():
            equal(logits[mine], found[f"out/{theirs}"])

    score, logits = heads.train()(maps)
    equal(score, found["out_train/score"])
    for mine, theirs in ATTRIBUTES.items():
        equal(logits[mine], found[f"out_train/{theirs}"])
    assert heads.captions is not None
    steps, caption = heads.captions(maps), torch.from_numpy(found["in/captions"])
    equal(steps[:, 0], found["out_train/caption_feature"])
    told = heads.captions.caption(steps, caption).gather(2, caption[:, 1:, None]).squeeze(2)
    equal(told, found["out_train/caption_logprob_of_targets"])
    squared, absolute = F.mse_loss(score, points / 17), F.l1_loss(score, points / 17)
    equal(squared, found["loss/mse"])
    equal(absolute, found["loss/l1"])
    terms = attribute_losses(logits, as_side(torch.from_numpy(found["in/attributes"])))
    for mine, theirs in ATTRIBUTES.items():
        equal(terms[mine], found[f"loss/{theirs}"])
    loss = caption_loss(heads.captions.caption, steps, caption)
    equal(loss, found["loss/caption"])
    total = squared + absolute + torch.stack([*terms.values()]).sum() + 0.01 * loss
    equal(total, found["loss/total"])
    total.backward()
    gradients = {name: parameter.grad for name, parameter in heads.named_parameters()}
    for key in (key for key in found if key.startswith("grad/")):
        gradient = gradients[ours(key.removeprefix("grad/"))]
        assert gradient is not None
        equal(gradient, found[key], 1e-8)


def test_it_has_the_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        heads = ContextHeads(256, (20, 20), 12, True, True, 5779)
        parts = [DilatedC3D(32, 180), heads.score, heads.attributes, heads.captions]
        counts = [sum(parameter.numel() for parameter in part.parameters()) for part in parts if part is not None]
    assert counts == [6_918_720, 437_065, 445_515, 14_511_059]


def test_the_frames_are_the_published_ones_and_within_any_window() -> None:
    assert PLAN.seen(103) == [0, 6, 13, 19, 26, 32, 39, 45, 52, 58, 65, 71, 78, 84, 91, 97]
    for total in range(16, 200):
        seen = PLAN.seen(total)
        assert len(set(seen)) == 16
        assert (seen[0], seen[-1] < total) == (0, True)
    with pytest.raises(InputError, match=r"data\.frames=15: fewer than clips\.frames=16"):
        PLAN.seen(15)
    video = noise(2, frames=35)
    assert torch.equal(PLAN.cut(video)[:, 0], video[:, :, PLAN.seen(35)])
    boxes = torch.arange(2 * 35 * 4).reshape(2, 35, 4).float()
    assert torch.equal(PLAN.cut_boxes(boxes, (8, 8))[:, 0, :, 0], boxes[:, PLAN.seen(35), 0] / 8)


@pytest.mark.parametrize("size", [24, 36, 47])
def test_maps_have_the_shape_they_say(size: int) -> None:
    network = DilatedC3D(2, size).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 16, size, size)).shape == (1, network.feature_size)
        maps = network(torch.rand(1, 3, 16, size, size), until="bn5b")
    assert maps.shape[1:] == (16, *network.map_shape)
    with pytest.raises(InputError, match=r"backbone\.size=23"):
        DilatedC3D(2, 23)


def test_a_file_of_its_program_is_read(tmp_path: Any) -> None:
    theirs, network = DilatedC3D(2, 24), DilatedC3D(2, 24)
    path = tmp_path / "model_CNN_3.pth"
    torch.save(theirs.state_dict(), path)
    network.load_state_dict(read_c3d(path, network), strict=False)
    assert all(torch.equal(one, other) for one, other in zip(network.parameters(), theirs.parameters(), strict=True))
    with pytest.raises(InputError, match=r"not a C3D|not a DilatedC3D|instead of"):
        read_c3d(path, DilatedC3D(4, 24))


# the method


def model_of(network: torch.nn.Module, plan: Any = None, kind: type[ContextMTL] = ContextMTL, **changes: Any) -> Any:
    torch.manual_seed(0)
    given = {"target": "score", "unit": 17.0, "attributes": True, "captions": True, "caption_weight": 0.01}
    given |= {"words": 30, "width": 2}
    return kind(encoder(network, plan), **given | changes)  # type: ignore[arg-type]


def test_videos_to_scores_through_its_own_network() -> None:
    model = model_of(DilatedC3D(2, 24), SpreadClip(16, 1, None, 24), MSCADC).eval()
    videos = model.encode(made_sample(noise(3, frames=20, size=24), side=made_side(3)))
    assert videos.feature.shape == (3, 1, model.encoder.feature_size)
    seen = model.look(videos)
    assert seen.shape == (3, 16, *model.encoder.network.map_shape)
    assert torch.equal(seen.flatten(1), videos.feature[:, 0])
    whole = model.score(videos, None).label
    one = model.score(model.encode(made_sample(noise(3, frames=20, size=24)[1:2])), None).label
    torch.testing.assert_close(one, whole[1:2], rtol=1e-4, atol=1e-5)


def test_the_form_on_clip_features_sees_a_clip_as_a_cell_of_time() -> None:
    model = model_of(TinyBackbone(2)).eval()
    feature = torch.rand(3, 5, 8, generator=torch.Generator().manual_seed(0))
    some = made_encoded(feature, made_side(3))
    assert torch.equal(model.look(some)[..., 0, 0], feature.mT)
    assert list(model.losses(some, None)) == ["squared_error", "absolute_error", *CLASSES, "caption"]
    turned = model.score(made_encoded(feature.flip(1)), None).label
    assert not torch.equal(turned, model.score(some, None).label)


def test_a_batch_of_one_video_with_one_clip_trains() -> None:
    """Where a single value a channel is left, which PyTorch's BatchNorm refuses."""
    model = model_of(TinyBackbone(2)).train()
    model._trainer = type("One", (), {"current_epoch": 0, "barebones": True})()
    loss = sum(model.losses(made_encoded(torch.rand(1, 1, 8), made_side(1)), None).values())
    loss.backward()
    assert loss.isfinite()


def test_heads_see_one_dropout() -> None:
    model = model_of(TinyBackbone(2)).train()
    head = model.head
    found = []
    head.score.context.narrow.register_forward_pre_hook(lambda _, given: found.append(given[0].detach()))
    head.captions.context.narrow.register_forward_pre_hook(lambda _, given: found.append(given[0].detach()))
    model._trainer = type("One", (), {"current_epoch": 0, "barebones": True})()
    model.losses(made_encoded(torch.rand(2, 6, 8), made_side(2)), None)
    assert torch.equal(*found)
    assert 0.2 < (found[0] == 0).float().mean() < 0.8


def test_i3d_has_a_name_of_its_own(config: Callable[..., DictConfig]) -> None:
    with torch.device("meta"):
        with pytest.raises(InputError, match=r"stands on C3D; say backbone=dilated_c3d, or model=i3d_mscadc"):
            model_of(I3D(), kind=MSCADC)
        own = hydra.utils.instantiate(config("experiment=mscadc_as_published").model)
        reduced = hydra.utils.instantiate(config("model=i3d_mscadc", "data=aqa7").model)
    assert (type(own), type(reduced)) == (MSCADC, ContextMTL)
    assert own.encoder.plans == (SpreadClip(16, 1, None, 180),)
