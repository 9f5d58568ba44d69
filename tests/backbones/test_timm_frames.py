"""Networks of timm on every frame: what `forward_features` gives; they run where timm loads beside this PyTorch."""

from pathlib import Path
from typing import Any

import pytest
import torch

from swapaqa.backbones.timm_frames import timm_encoder
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder
from tests.backbones.tiny_networks import clips, loaded
from tests.made_videos import made_sample, noise, plan

pytestmark = pytest.mark.slow  # the library takes seconds to import

GIVEN: dict[str, Any] = {
    "pretrained": None, "size": None, "drop_path_rate": None, "normalisation": None, "frozen": False,
    "learning_rate": None,
}  # fmt: skip


@pytest.fixture(autouse=True)
def timm() -> Any:
    return loaded("timm")


def made(name: str, size: int | None = None, **more: Any) -> VideoEncoder:
    torch.manual_seed(0)
    return timm_encoder(name, clips=plan(2, 2, None, size), **GIVEN | {"size": size} | more)


@pytest.mark.parametrize(
    ("name", "size", "layout"),
    [
        ("resnet10t", None, "NCHW"),
        ("convnext_atto", None, "NCHW"),
        ("swin_tiny_patch4_window7_224", 224, "NHWC"),
        ("vit_tiny_patch16_224", 32, "tokens"),
    ],
)
def test_every_frame_gives_what_forward_features_gives(name: str, size: int | None, layout: str) -> None:
    network = made(name, size).network.eval()
    given = clips(1, 2, size or 64)
    with torch.no_grad():
        maps = network(given)
        theirs = network.whole.forward_features(given.movedim(2, 1).flatten(0, 1))  # of the two frames
    found = maps[0].movedim(1, 0)
    if layout == "tokens":
        assert torch.equal(found.flatten(2).mT, theirs[:, 1:])
    else:
        assert torch.equal(found, theirs.movedim(-1, 1) if layout == "NHWC" else theirs)
    assert maps.shape[1] == network.feature_size


@pytest.mark.parametrize("name", ["convnext_atto", "mobilenetv3_small_050"])
def test_what_belongs_to_the_classification_layer_waits_for_no_gradient(name: str) -> None:
    encoder = made(name).train()
    encoder(made_sample(noise(1, 4, 64))).square().sum().backward()
    assert encoder.network.unused
    assert not [key for key, value in encoder.named_parameters() if value.requires_grad and value.grad is None]


def test_weights_from_a_file_and_normalisation_of_its_own(tmp_path: Path, timm: Any) -> None:
    whole = timm.create_model("vit_tiny_patch16_224", pretrained=False, img_size=32)
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    network = made("vit_tiny_patch16_224", 32, pretrained=str(tmp_path / "weights.pth")).network
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in network.whole.state_dict().items())
    assert network.normalisation.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("hf-hub:someone/net", {}, r"backbone\.name=hf-hub:someone/net: timm has no such network"),
        ("resnet5", {}, r"backbone\.name=resnet5: timm has no such network; there are .*resnet50"),
        ("resnet10t", {"size": 32}, r"backbone\.name=resnet10t: timm does not make it so"),
        ("convnext_atto", {"freeze_bn": True}, r"backbone\.freeze_bn=true: TimmFrames has no BatchNorm"),
        ("levit_128", {}, r"timm's LevitDistilled gives \(1, 16, 384\) of a frame, and no maps of 384 channels"),
    ],
)
def test_what_is_no_backbone_is_one_line(name: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        made(name, **more)
