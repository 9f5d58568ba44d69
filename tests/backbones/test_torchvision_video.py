"""Video networks of torchvision against torchvision's own forward pass; they run where it loads beside this PyTorch."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swapaqa.backbones.torchvision_video import MViT, VideoSwin, r2plus1d, s3d, torchvision_encoder
from swapaqa.errors import InputError
from swapaqa.models.backbone import Backbone
from swapaqa.models.encoder import pooled
from swapaqa.models.gradcam import explain
from swapaqa.models.usdl import USDL
from tests.backbones.tiny_networks import clips, loaded
from tests.made_videos import encoder, made_sample, noise, plan

pytestmark = pytest.mark.slow  # the library takes seconds to import


@pytest.fixture(autouse=True)
def library() -> Any:
    return loaded("torchvision.models.video")


def swin(drop: float = 0.0) -> Any:
    module = loaded("torchvision.models.video.swin_transformer")
    return module.SwinTransformer3d([2, 4, 4], 8, [2, 2], [2, 2], [2, 2, 2], stochastic_depth_prob=drop, num_classes=3)


def mvit(drop: float = 0.0) -> Any:
    module = loaded("torchvision.models.video.mvit")
    block, kernel = module.MSBlockConfig, [3, 3, 3]
    blocks = [
        block(1, 8, 8, kernel, kernel, [1, 1, 1], [1, 2, 2]),
        block(2, 8, 16, kernel, kernel, [1, 2, 2], [1, 1, 1]),
    ]
    return module.MViT((32, 32), 4, blocks, residual_pool=True, residual_with_cls_embed=False, rel_pos_embed=True,
                       proj_after_attn=True, stochastic_depth_prob=drop, num_classes=3)  # fmt: skip


def made(name: str, drop: float = 0.0) -> tuple[Any, Backbone]:
    """torchvision's network and ours of the same weights, small where torchvision makes small ones."""
    torch.manual_seed(0)
    if name.startswith("mvit"):
        whole = mvit(drop)
        return whole, MViT(copy.deepcopy(whole), 4, 32, "class" if name == "mvit class" else "mean")
    if name == "swin":
        whole = swin(drop)
        return whole, VideoSwin(copy.deepcopy(whole))
    video = loaded("torchvision.models.video")
    whole = getattr(video, name)(num_classes=3)
    return whole, {"r2plus1d_18": r2plus1d, "s3d": s3d}[name](copy.deepcopy(whole))


def their_feature(whole: Any, name: str, given: Tensor) -> Tensor:
    """What the classification layer is given."""
    seen: list[Tensor] = []
    if name == "s3d":
        maps: Tensor = whole.features(given)
        return maps.mean(dim=(2, 3, 4))  # torchvision's pool takes 7 x 7 cells, and here there are fewer
    layer = whole.fc if name == "r2plus1d_18" else whole.head
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    whole(given)
    return seen[0]


SIZES = {"swin": (4, 32), "mvit mean": (4, 32), "mvit class": (4, 32), "r2plus1d_18": (4, 32), "s3d": (8, 32)}


@pytest.mark.parametrize("name", ["swin", "mvit class", "r2plus1d_18", "s3d"])
def test_the_feature_is_what_torchvision_s_classification_layer_reads(name: str) -> None:
    whole, ours = made(name)
    given = clips(2, *SIZES[name])
    with torch.no_grad():
        found, expected = pooled(ours.eval()(given)), their_feature(whole.eval(), name, given)
    assert found.shape == (2, ours.feature_size)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_the_patches_of_mvit_are_torchvision_s() -> None:
    whole, ours = made("mvit mean")
    seen: list[Tensor] = []
    whole.eval().norm.register_forward_hook(lambda *given: seen.append(given[-1]))
    with torch.no_grad():
        whole(clips(2, 4, 32))
        maps = ours.eval()(clips(2, 4, 32))
    assert torch.equal(maps.flatten(2).mT, seen[0][:, 1:])


@pytest.mark.parametrize("name", ["swin", "r2plus1d_18", "s3d"])
def test_cut_open_at_every_stage_it_is_one_pass(name: str) -> None:
    network = made(name)[1].eval()
    given = clips(1, *SIZES[name])
    with torch.no_grad():
        whole = network(given)
        for stage in network.stages():
            assert torch.equal(network(network(given, until=stage), after=stage), whole), stage


@pytest.mark.parametrize("name", ["swin", "mvit mean", "mvit class"])
def test_recomputed_clip_by_clip_stochastic_depth_draws_the_same(name: str) -> None:
    network = made(name, drop=0.5)[1].double()
    parts = encoder(network, plan(4, 4, None, 32), clips_per_pass=1).train()
    plain = copy.deepcopy(network).train()
    videos = made_sample(noise(1, 8, 32))
    cut = parts.clips_of(videos.video, parts.plans[0])
    torch.manual_seed(3)
    expected = torch.cat([pooled(plain(clip)) for clip in cut.split(1)])
    (expected - 1).square().sum().backward()
    torch.manual_seed(3)
    found = parts(videos).flatten(0, 1)
    (found - 1).square().sum().backward()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    for (key, own), other in zip(network.named_parameters(), plain.parameters(), strict=True):
        assert own.grad is not None, key  # as DistributedDataParallel needs it
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-9, atol=1e-13, msg=key)


@pytest.mark.parametrize("name", SIZES)
def test_grad_cam_looks_at_the_maps(name: str) -> None:
    frames, size = SIZES[name]
    scorer = USDL(encoder(made(name)[1], plan(frames, frames, None, size)), "score", 11, 5.0, "batchmean")
    for parameter in scorer.head.parameters():
        nn.init.normal_(parameter, std=0.3)
    found = explain(scorer.eval().requires_grad_(False), made_sample(noise(1, frames, size)), None)
    assert found.map.shape == (frames, size, size)


def test_a_file_as_torchvision_ships_it_and_what_is_none(tmp_path: Path, library: Any) -> None:
    whole = library.r2plus1d_18()
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    given = {"clips": plan(4, 4), "normalisation": "kinetics", "frozen": False, "learning_rate": None}
    ours = torchvision_encoder("r2plus1d_18", str(tmp_path / "weights.pth"), freeze_bn=True, **given).network
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in ours.state_dict().items())
    with pytest.raises(InputError, match=r"weights\.pth: not the weights of this Convolutions, it has no features"):
        torchvision_encoder("s3d", str(tmp_path / "weights.pth"), freeze_bn=True, **given)
    with pytest.raises(InputError, match=r"backbone\.freeze_bn=true: VideoSwin has no BatchNorm"):
        torchvision_encoder("swin3d_t", None, freeze_bn=True, **given)
    with pytest.raises(
        InputError, match=r"clips\.frames=4: MViT takes clips of 16 only; say clips\.frames=16 clips\.s"
    ):
        torchvision_encoder("mvit_v2_s", None, **given)
    short = torchvision_encoder("s3d", None, freeze_bn=True, **given)
    with pytest.raises(InputError, match=r"clips\.frames=4: this network takes clips of 8 frames or more"):
        short(made_sample(noise(1, 4, 32)))
