"""Weights and configurations of others: read where they are theirs, refused in one line where they are not."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from swapaqa.backbones import libraries
from swapaqa.backbones.libraries import library
from swapaqa.backbones.weight_files import load_weights, read_config, read_tensors
from swapaqa.errors import InputError

Change = Callable[[dict[str, Any]], Any]


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_torch_file_alone_and_in_a_folder(tmp_path: Path) -> None:
    state = {"weight": torch.ones(2, 2)}
    torch.save(state, tmp_path / "pytorch_model.bin")
    torch.save({"state_dict": state}, tmp_path / "other.pth")
    for path in (tmp_path, tmp_path / "other.pth"):
        assert torch.equal(read_tensors(path, "linear")["weight"], state["weight"])


class Attack:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/run-by-a-weight-file",)


def test_a_pickle_that_names_code_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Attack()}))
    with pytest.raises(InputError, match=r"pytorch_model\.bin"):
        read_tensors(tmp_path, "linear")
    assert not Path("/tmp/run-by-a-weight-file").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nothing.txt", "", r"none of model\.safetensors, .*; name a folder as transformers saves it|none of"),
        ("model.safetensors.index.json", {"weight_map": {"a": "../../etc/passwd"}}, "which is no .safetensors file"),
        ("model.safetensors.index.json", {"weight_map": {"a": "model.py"}}, r"names 'model\.py', which is no"),
        ("model.safetensors.index.json", {"weight_map": 3}, "has no weight_map of files"),
        ("model.safetensors.index.json", "[", "not a readable JSON"),
    ],
)
def test_a_folder_without_readable_weights_is_one_line(tmp_path: Path, name: str, content: Any, words: str) -> None:
    written(tmp_path / name, content)
    with pytest.raises(InputError, match=words) as refused:
        read_tensors(tmp_path, "linear")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {"model_type": "videomae", "auto_map": {"AutoModel": "modeling.Net"}},
            r"code of its own \(auto_map\), which is",
        ),
        ({"model_type": "bert"}, "of a network 'bert', and videomae is needed"),
        ({}, "of a network None"),
        ([1], "holds no values by key"),
        ("{", "not a readable JSON"),
    ],
)
def test_a_configuration_of_something_else_is_one_line(tmp_path: Path, content: Any, words: str) -> None:
    written(tmp_path / "config.json", content)
    with pytest.raises(InputError, match=rf"config\.json: .*{words}"):
        read_config(tmp_path, "videomae")


def test_a_configuration_names_no_class_that_is_imported(tmp_path: Path) -> None:
    content = {"model_type": "videomae", "architectures": ["os.system"], "hidden_act": "os.system"}
    assert read_config(written(tmp_path / "config.json", content).parent, "videomae") == content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("0.bias"), r"not the weights of this Sequential, it has no 0\.bias"),
        (
            lambda state: state.update({"7.bias": torch.ones(1)}),
            r"not the weights of this Sequential, it has a '7\.bias'",
        ),
        (lambda state: state.update({"0.bias": torch.ones(3)}), r"0\.bias is \(3,\), and \(2,\) in this Sequential"),
        (
            lambda state: state.update({"0.bias": torch.ones(2, dtype=torch.int8)}),
            r"0\.bias holds torch\.int8, quantised",
        ),
    ],
)
def test_other_weights_are_one_line(change: Change, words: str) -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = dict(network.state_dict())
    change(state)
    with pytest.raises(InputError, match=rf"some\.pt: {words}"):
        load_weights(network, state, Path("some.pt"))


def test_prefixes_old_names_and_other_parts() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = {f"whole.{key}": torch.full_like(value, 3) for key, value in network.state_dict().items()}
    state["whole.0.old"] = state.pop("whole.0.bias")
    del state["whole.1.num_batches_tracked"]  # as PyTorch 0.4.0 saved it
    state |= {"classifier.weight": torch.ones(1)}
    load_weights(network, state, Path("a.pt"), "whole.", [(r"0\.old", "0.bias")], r"classifier\.")
    assert {float(value.double().mean()) for value in network.state_dict().values()} == {3.0, 0.0}


def test_a_library_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InputError, match=r"needs no_such_library, and it is not installed; pip install 'swapaqa\[extra\]'"
    ):
        library("no_such_library.inside", "extra")

    def broken(name: str) -> Any:
        raise RuntimeError(f"operator {name.partition('.')[0]}::nms does not exist")

    monkeypatch.setattr(libraries, "import_module", broken)
    with pytest.raises(
        InputError, match=r"torchvision, which does not load beside PyTorch .*\(operator torchvision::nms"
    ):
        library("torchvision.models.video", "torchvision")
