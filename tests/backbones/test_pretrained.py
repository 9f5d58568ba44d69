"""Files and folders that transformers writes, read into ours; and those of another network refused."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swapaqa.errors import InputError
from tests.backbones.tiny_networks import ARCHITECTURES, FRAMES, KINDS, RESNET, SIZE, clips, loaded, resnet, transformer

pytestmark = pytest.mark.slow  # the library takes seconds to import

CLIP = {"videomae": ("num_frames", "image_size"), "timesformer": ("num_frames", "image_size"),
        "vjepa2": ("frames_per_clip", "crop_size")}  # fmt: skip
CONFIGS = {"videomae": "VideoMAEConfig", "timesformer": "TimesformerConfig", "vjepa2": "VJEPA2Config"}
NAMES = {"videomae": "VideoMAE", "timesformer": "Timesformer", "vjepa2": "VJEPA2"}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Nothing is fetched."""
    found = loaded("transformers")

    def refused(*_: Any) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    return found


@pytest.fixture
def saved(alone: Any, tmp_path: Path) -> Any:
    """`saved(kind)`: a folder with a whole network that the library made and saved, and the network."""

    def save(kind: str, head: str = "ForVideoClassification", **more: Any) -> tuple[Path, Any]:
        torch.manual_seed(7)
        clip = dict(zip(CLIP[kind], (FRAMES, SIZE), strict=True))
        whole = getattr(alone, NAMES[kind] + head)(getattr(alone, CONFIGS[kind])(**ARCHITECTURES[kind], **clip))
        for parameter in whole.parameters():  # none as it begins
            nn.init.normal_(parameter, std=0.2)
        whole.eval().save_pretrained(tmp_path / kind, **more)
        return tmp_path / kind, whole

    return save


def their_logits(whole: Any) -> Tensor:
    whole.classifier = nn.Identity()
    logits: Tensor = whole(clips().movedim(1, 2)).logits
    return logits


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_the_library_s_is_read(saved: Any, kind: str) -> None:
    folder, whole = saved(kind)
    ours = transformer(kind, pretrained=str(folder), feature="class", attention="eager").eval()
    with torch.no_grad():
        torch.testing.assert_close(ours.network(clips()), their_logits(whole), rtol=1e-5, atol=1e-5)


def test_parts_a_single_file_and_a_torch_file_are_the_same(saved: Any, tmp_path: Path) -> None:
    folder, whole = saved("videomae", max_shard_size="10KB")
    assert (folder / "model.safetensors.index.json").is_file()
    torch.save(whole.state_dict(), tmp_path / "weights.pt")
    loaded("safetensors.torch").save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    states = [
        transformer("videomae", pretrained=str(path)).network.state_dict()
        for path in (folder, tmp_path / "weights.pt", tmp_path / "weights.safetensors")
    ]
    for state in states[1:]:
        assert all(torch.equal(value, states[0][key]) for key, value in state.items())


def test_a_pretraining_and_a_file_from_before_transformers_5(saved: Any, tmp_path: Path) -> None:
    folder, whole = saved("videomae", "ForPreTraining")
    state = whole.state_dict()
    for number in range(3):
        place = f"videomae.encoder.layer.{number}.attention.attention."
        state[f"{place}q_bias"], state[f"{place}v_bias"] = (
            state.pop(f"{place}query.bias"),
            state.pop(f"{place}value.bias"),
        )
    torch.save(state, tmp_path / "old.bin")
    old, today = (transformer("videomae", pretrained=str(path)).network for path in (tmp_path / "old.bin", folder))
    assert all(torch.equal(value, today.state_dict()[key]) for key, value in old.state_dict().items())


def test_a_resnet_s_folder_is_read(alone: Any, tmp_path: Path) -> None:
    whole = alone.ResNetForImageClassification(alone.ResNetConfig(**RESNET))
    for name, value in whole.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            value.uniform_(0.5, 1.5)
    whole.save_pretrained(tmp_path)
    ours = resnet(pretrained=str(tmp_path)).eval()
    with torch.no_grad():
        expected = whole.eval().resnet(clips()[:, :, 1]).last_hidden_state
        assert torch.equal(ours.network(clips())[:, :, 1], expected)
    with pytest.raises(InputError, match=r"config\.json: .*; say backbone\.architecture\.depths=\[1,1\]"):
        resnet(pretrained=str(tmp_path), architecture={"depths": [2, 1]})


def test_half_precision_is_brought_to_the_network_s(saved: Any) -> None:
    folder, whole = saved("vjepa2")
    whole.half().save_pretrained(folder)
    network = transformer("vjepa2", pretrained=str(folder)).network
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden_size": 48}, r"say backbone\.architecture\.hidden_size=48$"),
        ({"num_hidden_layers": 2, "qkv_bias": False},
         r"say backbone\.architecture\.num_hidden_layers=2 backbone\.architecture\.qkv_bias=false$"),
        ({"num_frames": 8, "image_size": [32, 32]}, r"say backbone\.frames=8 backbone\.size=32$"),
        ({"auto_map": {"AutoModel": "modeling_x.X"}}, "code of its own"),
    ],
)  # fmt: skip
def test_a_folder_of_another_network_says_what_to_say(saved: Any, change: dict[str, Any], words: str) -> None:
    folder, _ = saved("timesformer")
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | change))
    with pytest.raises(InputError, match=words):
        transformer("timesformer", pretrained=str(folder))


def test_clips_that_weights_were_not_trained_on_are_said(saved: Any, caplog: pytest.LogCaptureFixture) -> None:
    folder, _ = saved("vjepa2")
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | {"frames_per_clip": 64}))
    transformer("vjepa2", pretrained=str(folder))
    assert "trained on clips with frames=64, and here they have 4 (backbone.frames)" in caplog.text


def test_a_damaged_file_is_one_line(saved: Any) -> None:
    folder, _ = saved("videomae")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"model\.safetensors: not a readable safetensors file \(.*download it again"):
        transformer("videomae", pretrained=str(folder))
    shutil.rmtree(folder)
