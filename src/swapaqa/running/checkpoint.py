"""Loading a checkpoint for evaluation: its content, the evaluation's configuration, the model, the data to score."""

import logging
import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from swapaqa.batch import Encoded
from swapaqa.configuration.checking import TOP_LEVEL, check
from swapaqa.configuration.data_sets import make_data
from swapaqa.data.datamodule import VideoData
from swapaqa.data.exemplar_groups import UnknownGroupError
from swapaqa.data.exemplars import ExemplarBank
from swapaqa.data.records import Record
from swapaqa.errors import LINE, InputError, one_line
from swapaqa.files.foreign_file import reason
from swapaqa.models import published
from swapaqa.models.auxiliary import without_auxiliary
from swapaqa.models.published_model import as_ours
from swapaqa.models.published_parts import load_checkpoint
from swapaqa.models.scorer import CONFIG_KEY, FORMAT_KEY, Scorer
from swapaqa.running.precision import precision_here
from swapaqa.running.published_checkpoint import scale_labels
from swapaqa.running.registry import LENGTH, PRECISION, admit, plain
from swapaqa.running.upgrade import upgrade

log = logging.getLogger(__name__)

TRAINED_WITH = ("model", "backbone", "schedule", "seed")
SEEN_BY_THE_NETWORK = ("frames", "geometry", "target")
# of the same data set: on another split, training videos would be tested, and another score was not learnt
TRAINED_ON = ("split", "fold", "events", "without", "split_seed", "action", "score_type")
GIVEN = ("backbone.", "clips.", "data.", "model.", "trainer.", "seed=")  # what the command line may change
PACK_KEY = "swapaqa_pack"
NO_BOXES = {"_target_": "swapaqa.data.boxes.NoBoxes", "ratio": 1.0}


def read_checkpoint(path: str | None, trust: str | Sequence[str] = ()) -> dict[str, Any]:
    """The content of a checkpoint of ours, its configuration in today's words (`upgrade`), or of an author's program.

    Only tensors and plain values are admitted.

    Its configuration names classes that are registered in their places (`swapaqa.running.registry`), or are of the
    packages in `trust`.

    Raises:
        InputError: no such file, neither of ours nor of `swapaqa.models.published`, one that names anything else, or
            one of a later format.
    """
    if path is None:
        raise InputError("checkpoint: name one, like checkpoint=outputs/<name>/<time>/checkpoints/last.ckpt")
    try:
        with published.numpy_scalars():
            content = published.with_entries(load_checkpoint(Path(path)))
    except InputError as error:
        raise InputError(f"checkpoint={error}") from error
    except pickle.UnpicklingError as error:
        raise InputError(f"checkpoint={path}: not a checkpoint: {error}; name one that training wrote") from error
    system = published.system_of(content)
    if system:
        fault = published.fault_of(content, system)
        if fault:
            raise InputError(f"checkpoint={path}: saved by {system.name}'s program, but {fault}; download it again")
        downloaded: dict[str, Any] = content
        return downloaded
    if not isinstance(content, dict) or not content.get(CONFIG_KEY):
        raise InputError(f"checkpoint={path}: carries no configuration; name one that training wrote")
    packages = [trust] if isinstance(trust, str) else list(trust)
    source = f"checkpoint={path}"
    content[CONFIG_KEY] = plain(content[CONFIG_KEY], source)
    upgrade(content, source)
    content[CONFIG_KEY] = admit(content[CONFIG_KEY], source, packages)
    _refuse_incomplete(content, source)
    return content


def _refuse_incomplete(content: Mapping[str, Any], source: str) -> None:
    """InputError where something is missing or of another kind that every checkpoint of ours has."""
    trained = content[CONFIG_KEY]
    missing = [key for key in (*TRAINED_WITH, "data", "aug", "trainer") if key not in trained]
    of_data = trained.get("data") if isinstance(trained.get("data"), dict) else {}
    objects = [trained.get(key) for key in ("model", "backbone", "aug", "data")] + [of_data.get("boxes")]
    if isinstance(trained.get("model"), dict) and "encoder" in trained["model"]:
        objects.append(trained["model"]["encoder"])
    if PRECISION not in trained.get("trainer", {}):
        missing.append(f"trainer.{PRECISION}")
    if missing or not all(isinstance(one, dict) and "_target_" in one for one in objects):
        no_object = "one of model, model.encoder, backbone, aug, data and data.boxes is no object"
        words = f"{', '.join(missing)} missing" if missing else no_object
        raise InputError(f"{source}: its configuration is not that of a run ({words}); name one that training wrote")
    numbers = (content.get("epoch"), content.get(FORMAT_KEY, 1))
    if not all(isinstance(number, int) for number in numbers) or not isinstance(content.get("state_dict"), dict):
        raise InputError(f"{source}: has no epoch, no format or no weights; name one that training wrote")


def protocol_of(path: str, content: Mapping[str, Any]) -> str:
    """The protocol that a checkpoint's predictions belong to: its file's name, but for a `last.ckpt` that is none.

    Of a pack (`swapaqa.running.pack`) the name that its checkpoint had.

    The first version wrote that name whenever an epoch was the best on test so far, and only then.
    """
    packed = content.get(PACK_KEY)
    known = packed.get("checkpoint") if isinstance(packed, dict) else None
    name = known if isinstance(known, str) and known.isidentifier() else Path(path).stem
    epochs = content[CONFIG_KEY]["trainer"].get(LENGTH)
    if name != "last" or FORMAT_KEY in content or not isinstance(epochs, int) or content["epoch"] + 1 >= epochs:
        return name
    log.warning(
        "checkpoint=%s: of the first version, whose last.ckpt holds the best epoch on test (%d of %d): it counts as "
        "best_on_test", path, content["epoch"] + 1, epochs,
    )  # fmt: skip
    return "best_on_test"


def evaluation_config(cfg: DictConfig, trained: dict[str, Any], given: list[str]) -> DictConfig:
    """The configuration of the evaluation in layers, of which a later one wins.

    The recipe's; what the checkpoint was trained with; its data, or those given; the values on the command line; and
    what follows from all of these.

    Args:
        cfg: of the recipe.
        trained: the configuration in the checkpoint.
        given: the overrides of the command line.
    """
    recipe: dict[str, Any] = OmegaConf.to_container(cfg, resolve=False)  # type: ignore[assignment]
    recipe.pop("optim", None)  # nothing is trained
    layers = recipe | network_layer(trained) | data_layer(recipe, trained, given)
    if getattr(hydra.utils.get_class(trained["model"]["_target_"]), "reads_boxes", False):
        layers["data"]["boxes"] = OmegaConf.to_container(boxes_of(cfg, [trained], given), resolve=True)
    layers["trainer"] = recipe["trainer"] | {PRECISION: trained["trainer"][PRECISION]}
    values = [word for word in given if word.startswith(GIVEN)]
    merged = OmegaConf.merge(OmegaConf.create(layers), OmegaConf.from_dotlist(values))
    assert isinstance(merged, DictConfig)
    if "voters" in merged.model:
        merged.data.voters = merged.model.voters
    if not any(word.startswith(f"trainer.{PRECISION}=") for word in values):
        merged.trainer.precision = precision_here(merged.trainer)
    OmegaConf.set_struct(merged, True)
    return merged


def network_layer(trained: Mapping[str, Any]) -> dict[str, Any]:
    """The network of a checkpoint, its parts linked as in the yamls: a value on the command line reaches them all."""
    clips = trained.get("clips")  # none of an encoder of the user's own from before the group, which cut them by itself
    layer = {key: trained[key] for key in TRAINED_WITH} | ({} if clips is None else {"clips": clips})
    layer["backbone"] = _with_own_weights(trained["backbone"], clips)
    layer["model"] = {
        key: "${backbone}" if value == trained["backbone"] else value for key, value in trained["model"].items()
    }
    if "texts" in layer["model"]:
        layer["model"]["texts"] = None  # of RICA2: a part of the checkpoint's weights
    if isinstance(layer["model"].get("encoder"), dict):
        layer["model"]["encoder"] = _with_own_weights(layer["model"]["encoder"], clips)
    return layer


def _with_own_weights(encoder: Mapping[str, Any], clips: Any) -> dict[str, Any]:
    """An encoder that starts from the checkpoint's weights, and cuts the clips of its own group."""
    found = dict(encoder)
    if "pretrained" in found:
        found["pretrained"] = None
    if "clips" in found and found["clips"] == clips:
        found["clips"] = "${clips}"
    return found


def data_layer(recipe: Mapping[str, Any], trained: Mapping[str, Any], given: Sequence[str]) -> dict[str, Any]:
    """The data of a checkpoint, or those given, as its network sees them; nothing is augmented: no boxes."""
    data = dict(trained["data"])
    if any(override.startswith("data=") for override in given):
        same = recipe["data"]["_target_"] == trained["data"]["_target_"]
        kept = SEEN_BY_THE_NETWORK + (TRAINED_ON if same else ())
        data = recipe["data"] | {key: trained["data"][key] for key in kept if key in trained["data"]}
    unread = {"captions": False} if "captions" in data else {}  # nothing is learnt from them
    return {"data": data | unread | {"augment": recipe["aug"], "boxes": NO_BOXES}}


def check_evaluation_config(cfg: DictConfig) -> None:
    """`config.check` of what `evaluation_config` gives; what it refuses is the checkpoint's or of the command line."""
    try:
        check(OmegaConf.masked_copy(cfg, [key for key in cfg if key in TOP_LEVEL]))
    except InputError as error:
        raise InputError(f"checkpoint={cfg.checkpoint}: {error}") from error


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
        own: DictConfig = cfg.boxes
        return own
    named = any(word.startswith("data=") for word in given)
    data = [one["data"] for one in trained if not named or one["data"]["_target_"] == cfg.data._target_]
    known = [one["boxes"] for one in data if one["boxes"]["_target_"] != NO_BOXES["_target_"]]
    if known:
        changes = OmegaConf.from_dotlist([word for word in given if word.startswith("boxes.")])
        changed: DictConfig = OmegaConf.merge({"boxes": known[0]}, changes).boxes
        return changed
    same = trained[0]["data"]["_target_"] == cfg.data._target_
    return cfg.boxes if same or named else OmegaConf.create(NO_BOXES)


def build(cfg: DictConfig, checkpoint: dict[str, Any]) -> Scorer:
    """The model of the checkpoint, ready to score. `checkpoint`: as `with_configuration` gives it."""
    makers = [logging.getLogger(f"swapaqa.{room}") for room in ("models", "backbones")]
    for maker in makers:
        maker.setLevel(logging.ERROR)  # that it starts from nothing is not so
    model: Scorer = make(cfg.model, cfg.checkpoint)
    for maker in makers:
        maker.setLevel(logging.NOTSET)
    system = published.system_of(checkpoint)
    if system:
        labels = partial(scale_labels, make_data(cfg.data), model, system, f"checkpoint={cfg.checkpoint}")
        checkpoint = as_ours(cfg.checkpoint, checkpoint, model, labels, keep_eps=cfg.backbone.get("bn_eps") is not None)
    try:
        model.load_state_dict(without_auxiliary(checkpoint["state_dict"]))
        model.on_load_checkpoint(checkpoint)
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError) as error:
        problem = one_line(str(error), LINE)
        raise InputError(f"checkpoint={cfg.checkpoint}: weights of another model: {problem}") from error
    return model.eval()


def make(node: Any, path: str, how: Callable[[Any], Any] = hydra.utils.instantiate) -> Any:
    """What a part of a checkpoint's configuration describes. InputError where its values describe nothing."""
    try:
        return how(node)
    except InstantiationException as error:
        if isinstance(error.__cause__, InputError):
            raise InputError(f"checkpoint={path}: {error.__cause__}") from error
        why = reason(error.__cause__ or error)
        raise InputError(f"checkpoint={path}: its configuration describes no {node._target_} ({why})") from error


def prepare(data: VideoData, exemplars: Encoded | None) -> None:
    """Find the files to score: with the training videos only where a method votes and has no features of them."""
    if data.voters and exemplars is None:
        data.setup()
        return
    data.setup_tests(stored_bank(data, exemplars) if exemplars is not None and data.voters else None)


def stored_bank(data: VideoData, exemplars: Encoded) -> ExemplarBank:
    """The exemplars that a checkpoint has features of, by what is stored with them: action, score, difficulty."""
    columns = (exemplars.labels.action, exemplars.labels.score, exemplars.labels.difficulty)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    records = [
        Record(f"exemplar {position}", data.source.actions[action], score, "train", difficulty)
        for position, (action, score, difficulty) in enumerate(rows)
    ]
    try:
        return data.source.exemplar_bank(records, data.seed)
    except UnknownGroupError as error:
        raise InputError(
            "the checkpoint stores the action and the difficulty of its exemplars, and their groups ask for more "
            f"({error}): train it with model.store_exemplars=false and evaluate with the training videos"
        ) from error
