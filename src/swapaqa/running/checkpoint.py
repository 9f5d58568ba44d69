"""From a checkpoint to what scores with it: its content, the configuration as trained, the model, the data to score."""

import logging
import pickle
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig, OmegaConf, open_dict

from swapaqa.data.datamodule import VideoData
from swapaqa.data.dataset import SampleReader
from swapaqa.data.exemplars import ExemplarBank
from swapaqa.data.frame_store import FrameStore
from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.models import published
from swapaqa.models.published_model import as_ours
from swapaqa.models.scorer import CONFIG_KEY, FORMAT_KEY, Encoded, Scorer
from swapaqa.running.precision import precision_here
from swapaqa.running.published_checkpoint import scale_labels

log = logging.getLogger(__name__)

TRAINED_WITH = ("model", "backbone", "schedule", "seed")
SEEN_BY_THE_NETWORK = ("frames", "geometry", "target")
TRAINED_ON = ("split", "fold")  # of the same data set: on another split, training videos would be tested
GIVEN = ("backbone.", "data.", "model.", "trainer.", "seed=")  # what the command line may change
GONE_FROM_BACKBONE = ("channels_last", "compile")  # keys that once were, and changed results by rounding only
NO_BOXES = {"_target_": "swapaqa.data.boxes.NoBoxes", "ratio": 1.0}


def read_checkpoint(path: str | None) -> dict[str, Any]:
    """The content of a checkpoint of ours or of an author's program. Only tensors and plain values are admitted.

    Raises:
        InputError: no such file, or neither of ours nor of `swapaqa.models.published`.
    """
    if path is None:
        raise InputError("checkpoint: name one, like checkpoint=outputs/<name>/<time>/checkpoints/last.ckpt")
    try:
        with published.numpy_scalars():
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"checkpoint={path}: cannot be read ({error.strerror})") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"checkpoint={path}: not a checkpoint; name one that src.train wrote") from error
    if published.system_of(content):
        return content
    if not isinstance(content, dict) or not content.get(CONFIG_KEY):
        raise InputError(f"checkpoint={path}: carries no configuration; name one that src.train wrote")
    return content


def protocol_of(path: str, content: Mapping[str, Any]) -> str:
    """The protocol that a checkpoint's predictions belong to: its file's name, but for a `last.ckpt` that is none.

    The first version wrote that name whenever an epoch was the best on test so far, and only then.
    """
    name, epochs = Path(path).stem, content[CONFIG_KEY]["trainer"]["max_epochs"]
    if name != "last" or FORMAT_KEY in content or content["epoch"] + 1 >= (epochs or 0):
        return name
    log.warning(
        "checkpoint=%s: of the first version, whose last.ckpt holds the best epoch on test (%d of %d): it counts as "
        "best_on_test", path, content["epoch"] + 1, epochs,
    )  # fmt: skip
    return "best_on_test"


def as_trained(cfg: DictConfig, trained: dict[str, Any], given: list[str]) -> DictConfig:
    """The configuration of the evaluation: the checkpoint's, with the data and the values given on the command line.

    `trained`: the configuration in the checkpoint. `given`: the overrides of the command line.
    """
    with open_dict(cfg):
        for key in TRAINED_WITH:
            cfg[key] = trained[key]
        if any(override.startswith("data=") for override in given):
            same = cfg.data._target_ == trained["data"]["_target_"]
            kept = SEEN_BY_THE_NETWORK + (TRAINED_ON if same else ())
            cfg.data.update({key: trained["data"][key] for key in kept if key in trained["data"]})
        else:
            cfg.data = trained["data"]
        cfg.data.augment, cfg.data.boxes = cfg.aug, NO_BOXES
        cfg.trainer.precision = trained["trainer"]["precision"]
        for key, value in trained["model"].items():
            if value == trained["backbone"]:
                cfg.model[key] = "${backbone}"  # as in the method's yaml, so that backbone.* on the command line counts
        for encoder in (cfg.backbone, cfg.model.get("encoder", {})):
            if "pretrained" in encoder:
                encoder.pretrained = None  # the checkpoint has its own weights
            for key in GONE_FROM_BACKBONE:
                encoder.pop(key, None)
        values = [word for word in given if word.startswith(GIVEN)]
        merged = OmegaConf.merge(cfg, OmegaConf.from_dotlist(values))
        if "voters" in merged.model:
            merged.data.voters = merged.model.voters
        if not any(word.startswith("trainer.precision=") for word in values):
            merged.trainer.precision = precision_here(merged.trainer)
    assert isinstance(merged, DictConfig)
    return merged


def boxes_of(cfg: DictConfig, trained: Sequence[Mapping[str, Any]], given: Sequence[str]) -> DictConfig:
    """Where the athlete is: the boxes on the command line, else those of training, else the data set's default.

    Args:
        cfg: of the recipe; its boxes are those on the command line, or the default of its data set.
        trained: the configurations in the checkpoints; the first one with boxes counts.
        given: the overrides of the command line.

    Returns:
        `NO_BOXES` where nothing names any.
    """
    if any(word.startswith("boxes=") for word in given):
        return cfg.boxes
    named = any(word.startswith("data=") for word in given)
    data = [one["data"] for one in trained if not named or one["data"]["_target_"] == cfg.data._target_]
    known = [one["boxes"] for one in data if one["boxes"]["_target_"] != NO_BOXES["_target_"]]
    if known:
        changes = OmegaConf.from_dotlist([word for word in given if word.startswith("boxes.")])
        return OmegaConf.merge({"boxes": known[0]}, changes).boxes
    same = trained[0]["data"]["_target_"] == cfg.data._target_
    return cfg.boxes if same or named else OmegaConf.create(NO_BOXES)


def build(cfg: DictConfig, checkpoint: dict[str, Any]) -> Scorer:
    """The model of the checkpoint, ready to score. `checkpoint`: as `with_configuration` gives it."""
    models = logging.getLogger("swapaqa.models")
    models.setLevel(logging.ERROR)  # that it starts from nothing is not so
    model: Scorer = hydra.utils.instantiate(cfg.model)
    models.setLevel(logging.NOTSET)
    system = published.system_of(checkpoint)
    if system:
        labels = partial(scale_labels, hydra.utils.instantiate(cfg.data), system, f"checkpoint={cfg.checkpoint}")
        checkpoint = as_ours(cfg.checkpoint, checkpoint, model, labels, keep_eps=cfg.backbone.get("bn_eps") is not None)
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        problem = " ".join(str(error).split())
        raise InputError(f"checkpoint={cfg.checkpoint}: weights of another model: {problem}") from error
    model.on_load_checkpoint(checkpoint)
    return model.eval()


def prepare(data: VideoData, exemplars: Encoded | None) -> None:
    """Find the files to score: with the training videos only where a method votes and has no features of them."""
    if data.voters and exemplars is None:
        data.setup()
        return
    store = FrameStore(data.cache, (data.geometry.height, data.geometry.width), data.video_reader)
    data.reader = SampleReader(data.frames, data.geometry, data.boxes, store, data.shift_range)
    data.items = {split: [data.item(record) for record in data.read_split(split)] for split in data.test_splits}
    data.bank = stored_bank(data, exemplars) if exemplars is not None and data.voters else None


def stored_bank(data: VideoData, exemplars: Encoded) -> ExemplarBank:
    """The exemplars that a checkpoint has features of, by what is stored with them: action, score, difficulty."""
    columns = (exemplars.action, exemplars.score, exemplars.difficulty)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    records = [
        Record(f"exemplar {position}", data.actions[action], score, "train", difficulty)
        for position, (action, score, difficulty) in enumerate(rows)
    ]
    try:
        return ExemplarBank(records, data.group, data.seed, data.wider_groups(), data.apart())
    except AttributeError as error:
        raise InputError(
            "the checkpoint stores the action and the difficulty of its exemplars, and their groups ask for more "
            f"({error}): train it with model.store_exemplars=false and evaluate with the training videos"
        ) from error
