"""From a checkpoint's configuration to that of an evaluation, layer by layer."""

from typing import Any

import pytest

from swapaqa.running.checkpoint import NO_BOXES, data_layer, network_layer

BACKBONE = {"_target_": "b", "pretrained": "i3d.pth", "clips": {"frames": 16}}
TRAINED: dict[str, Any] = {
    "model": {"_target_": "m", "depth": 5, "encoder": BACKBONE},
    "backbone": BACKBONE,
    "clips": {"frames": 16},
    "schedule": {"epochs": 3},
    "seed": 7,
    "data": {
        "_target_": "d",
        "frames": 103,
        "geometry": {"crop": 224},
        "target": "score",
        "split": "by_event",
        "root": "r",
    },
}
RECIPE: dict[str, Any] = {"aug": {"_target_": "none"}, "data": {"_target_": "d", "frames": 16, "root": None, "fold": 0}}


def test_the_network_is_the_checkpoints_without_the_weights_that_it_began_from() -> None:
    layer = network_layer(TRAINED)
    assert layer["backbone"] == {"_target_": "b", "pretrained": None, "clips": "${clips}"}
    assert layer["model"] == {"_target_": "m", "depth": 5, "encoder": "${backbone}"}
    assert (layer["clips"], layer["schedule"], layer["seed"]) == ({"frames": 16}, {"epochs": 3}, 7)
    assert TRAINED["backbone"]["pretrained"] == "i3d.pth"  # what was read is left as it is


def test_an_encoder_of_its_own_is_not_linked() -> None:
    own = {"_target_": "e", "pretrained": "x.pth", "clips": {"frames": 8}}
    layer = network_layer(TRAINED | {"model": {"_target_": "m", "encoder": own}})
    assert layer["model"]["encoder"] == own | {"pretrained": None}


def test_texts_of_steps_are_the_checkpoints() -> None:
    layer = network_layer(TRAINED | {"model": {"_target_": "m", "texts": "t5.npy"}})
    assert layer["model"] == {"_target_": "m", "texts": None}


def test_a_checkpoint_from_before_the_clips_keeps_the_recipes() -> None:
    assert "clips" not in network_layer({key: value for key, value in TRAINED.items() if key != "clips"})


OTHERS = {"_target_": "another", "frames": 16, "root": None}
DATA = {  # the recipe's data, the overrides given: what is scored
    "the checkpoint's own": (RECIPE["data"], [], TRAINED["data"]),
    "its values are no data=": (RECIPE["data"], ["data.root=elsewhere"], TRAINED["data"]),
    "the same, named": (
        RECIPE["data"],
        ["data=d"],
        RECIPE["data"] | {"frames": 103, "geometry": {"crop": 224}, "target": "score", "split": "by_event"},
    ),
    "another data set": (OTHERS, ["data=o"], OTHERS | {"frames": 103, "geometry": {"crop": 224}, "target": "score"}),
}


@pytest.mark.parametrize("case", DATA)
def test_the_data_are_seen_as_in_training(case: str) -> None:
    data, given, expected = DATA[case]
    found = data_layer(RECIPE | {"data": data}, TRAINED, given)["data"]
    assert found == expected | {"augment": {"_target_": "none"}, "boxes": NO_BOXES}
