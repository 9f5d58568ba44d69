"""Every shipped yaml composes, passes the check and names what exists; wrong values are refused by key."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path

import pytest
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict

from swapaqa.configuration.checking import check, check_objects
from swapaqa.configuration.keys import MOVED
from swapaqa.configuration.overrides import explain_override
from swapaqa.errors import InputError

Config = Callable[..., DictConfig]

CONF = Path(__file__).parents[1] / "conf"


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def checked(composed: DictConfig) -> DictConfig:
    """What only a running Hydra knows is filled in, then `check`."""
    with open_dict(composed):
        composed.name = "a_run"
        if "save_dir" in composed.logger:
            composed.logger.save_dir = "somewhere"
    check(composed)
    return composed


@pytest.mark.parametrize(("model", "data"), list(product(options("model"), options("data"))))
def test_every_model_passes_on_every_data_set(model: str, data: str, config: Config) -> None:
    composed = checked(config(f"model={model}", f"data={data}"))
    assert composed.model.encoder == composed.backbone
    assert composed.data.batch_size == (8 if data == "demo" else composed.schedule.batch_size)


@pytest.mark.parametrize(("aug", "boxes"), list(product(options("aug"), options("boxes"))))
def test_every_augmentation_passes_with_every_box_source(aug: str, boxes: str, config: Config) -> None:
    composed = checked(config("data=aqa7", f"aug={aug}", f"boxes={boxes}"))
    assert composed.data.augment == composed.aug
    assert composed.data.boxes == composed.boxes


def leaves(node: object, place: str = "") -> dict[str, object]:
    """The values of a tree by their keys, `data.geometry.crop`."""
    if not isinstance(node, dict):
        return {place: node}
    return {key: leaf for name, value in node.items() for key, leaf in leaves(value, f"{place}.{name}").items()}


@pytest.mark.parametrize("data", options("data"))
def test_a_data_set_says_only_what_differs_from_the_others(data: str) -> None:
    """How videos are read and loaded stands once, in conf/loading; what a file repeats of it would go its own way."""
    shared, own = (
        leaves(OmegaConf.to_container(OmegaConf.load(CONF / name)))
        for name in ("loading/default.yaml", f"data/{data}.yaml")
    )
    assert len(shared) > 15
    assert not own.items() & shared.items()


@pytest.mark.parametrize("group", ["backbone", "logger", "trainer", "optim", "experiment"])
def test_every_file_of_the_other_groups_passes(group: str, config: Config) -> None:
    for name in options(group):
        checked(config(f"{group}={name}"))


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_says_what_it_is(path: Path) -> None:
    comments = [line for line in path.read_text().splitlines()[:2] if line.startswith("# ") and "@package" not in line]
    assert comments


def test_the_command_line_wins_over_what_a_data_set_names(config: Config) -> None:
    assert config("data=aqa7").backbone != config("data=aqa7", "backbone=tiny").backbone
    assert config("data=aqa7", "backbone=tiny").backbone == config("data=demo").backbone


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model.depth", "five", r"model\.depth=five.*integer"),
        ("model.depth", 2.5, r"model\.depth=2\.5.*integer"),
        ("model.depth", True, r"model\.depth=True.*integer"),
        ("aug.ratio", "two", r"aug\.ratio=two.*number"),
        ("aug.ratio", None, r"aug\.ratio=None.*number"),
        ("aug.variant", "papr", r"aug\.variant=papr.*paper.*official"),
        ("data.skip_unreadable", "no", r"data\.skip_unreadable=no.*boolean"),
        ("data.geometry.crop", [224], r"data\.geometry\.crop=\[224\].*integer"),
        ("data.root", 7, r"data\.root=7.*string"),
        ("trainer.max_epochs", "ten", r"trainer\.max_epochs=ten.*integer"),
        ("trainer.precision", "half", r"trainer\.precision=half"),
        ("seed", "abc", "seed=abc"),
        ("seed", -1, "seed=-1"),
        ("seed", 1.5, r"seed=1\.5"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(key: str, value: object, words: str, config: Config) -> None:
    composed = config("data=demo")
    OmegaConf.update(composed, key, value)
    with pytest.raises(InputError, match=words) as error:
        checked(composed)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("key", "value"), [("aug.ratio", 2), ("optim.learning_rate", 1), ("data.root", None)])
def test_values_that_fit_the_type_pass(key: str, value: object, config: Config) -> None:
    composed = config("data=demo")
    OmegaConf.update(composed, key, value)
    checked(composed)


class Own:
    """A class as a user's package brings it."""

    def __init__(
        self, share: float, sizes: tuple[int, int], name: str = "own", options: DictConfig | None = None,
        parts: Sequence["Own"] = (),
    ) -> None: ...  # fmt: skip


PART = partial(Own, sizes=(1, 2))  # says nothing of its types


def test_what_hydra_makes_of_a_value_of_ones_own_class_is_not_refused() -> None:
    """A mapping becomes a DictConfig, the objects of a list are made first."""
    own = {"_target_": f"{__name__}.Own", "share": 1, "sizes": [1, 2]}
    check_objects(own | {"options": {"a": 1}, "parts": [own, own]}, "aug")
    check_objects({"_target_": f"{__name__}.PART", "share": "big"}, "aug")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("share", "big", r"aug\.share=big: .*number.*\(float\)"),
        ("share", None, r"aug\.share=None: .*number"),
        ("sizes", [1, "two"], r"aug\.sizes=.*integer"),
        ("sizes", [1], r"aug\.sizes=\[1\]"),
        ("name", ["a"], r"aug\.name=.*string"),
    ],
)
def test_a_value_of_the_wrong_type_of_ones_own_class_is_refused(key: str, value: object, words: str) -> None:
    given = {"_target_": f"{__name__}.Own", "share": 1, "sizes": [1, 2]}
    check_objects(given, "aug")
    with pytest.raises(InputError, match=words) as error:
        check_objects(given | {key: value}, "aug")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("aug.rato", r"aug\.rato.*ratio"),
        ("clips.frame", r"clips\.frame\b.*frames"),
        ("backbone.clips_per_pas", r"clips_per_pas\b.*clips_per_pass"),
        ("data.geometry.hieght", r"data\.geometry\.hieght.*height"),
        ("trainer.max_epoch", r"trainer\.max_epoch.*max_epochs"),
        ("logger.projct", r"logger\.projct.*project"),
        ("modle", "modle.*model"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(key: str, words: str, config: Config) -> None:
    composed = config("data=demo")
    OmegaConf.update(composed, key, 3, force_add=True)
    with pytest.raises(InputError, match=words) as error:
        checked(composed)
    assert "did you mean" in str(error.value)


@pytest.mark.parametrize(("key", "now"), MOVED.items())
def test_a_key_that_moved_is_refused_with_what_it_is_now(key: str, now: str, config: Config) -> None:
    with pytest.raises(HydraException) as refused:
        config(f"{key}=1")
    assert explain_override(refused.value) == f"{key}: no such key; it is {now} now"
    with pytest.raises(InputError, match=rf"{key}: no such key of .*; it is {now} now$"):
        checked(config(f"+{key}=1"))
    checked(config(f"{now}=1"))


def test_a_missing_key_is_refused(config: Config) -> None:
    composed = config("data=demo")
    with open_dict(composed):
        del composed.data["frames"]
    with pytest.raises(InputError, match=r"data\.frames: missing"):
        checked(composed)


@pytest.mark.parametrize("target", ["swapaqa.models.core.Core", "swapaqa.modles.core.CoRe", "nowhere.Thing"])
def test_a_target_that_does_not_exist_is_refused(target: str, config: Config) -> None:
    composed = config("data=demo")
    composed.model._target_ = target
    with pytest.raises(InputError, match=rf"model\._target_={target}"):
        checked(composed)


def test_a_broken_interpolation_is_refused_in_one_line(config: Config) -> None:
    composed = config("data=demo")
    composed.data.batch_size = "${schedule.batchsize}"
    with pytest.raises(InputError, match="batchsize") as error:
        checked(composed)
    assert "\n" not in str(error.value)
