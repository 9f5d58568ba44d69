"""Clip features of a data set into files, with a manifest of what made them. See `src.extract`."""

import json
import logging
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer, seed_everything

from swapaqa.command import spelled
from swapaqa.configuration.checking import TOP_LEVEL, check, require_text
from swapaqa.configuration.data_sets import make_data
from swapaqa.console import open_console, quieten
from swapaqa.data.datamodule import VideoData
from swapaqa.data.feature_manifest import CONTENT, COUNT, MANIFEST, difference, read_manifest
from swapaqa.errors import InputError
from swapaqa.extraction.extracting import Extraction, extract, refuse_full_disk
from swapaqa.extraction.facts import facts
from swapaqa.extraction.units import all_units
from swapaqa.files.disk_errors import full_disk_explained
from swapaqa.files.whole_file import write_whole
from swapaqa.models.encoder import VideoEncoder
from swapaqa.running import out_of_memory
from swapaqa.running.features import refuse_pixels
from swapaqa.running.needs import refuse_short_windows
from swapaqa.running.precision import refuse_half_on_cpu
from swapaqa.running.seen import seen_before
from swapaqa.running.training import make_model, more_memory

log = logging.getLogger(__name__)


def start(cfg: DictConfig) -> None:
    """Extract what the configuration of `src.extract` names; `cfg` is changed.

    Raises:
        InputError: naming the key or the file that is wrong.
    """
    quieten()
    check_keys(cfg)
    cfg.data.voters, cfg.data.val_fraction = 0, 0.0  # every video by itself, and all of train
    out = Path(cfg.out).expanduser()
    seed_everything(cfg.seed, verbose=False)
    data = make_data(cfg.data)
    refuse_unextractable(cfg, data)
    model = make_model(cfg)
    refuse_short_windows(model, data.source)
    with full_disk_explained(out), out_of_memory.explained(more_memory(cfg, model)):
        run(cfg, data, model.encoder, out)


def check_keys(cfg: DictConfig) -> None:
    """InputError for a key of another type, and for copies or shards that mean nothing."""
    require_text(cfg, "out")
    check(OmegaConf.masked_copy(cfg, [key for key in cfg if key in TOP_LEVEL]))
    for key, least in (("copies", 0), ("shards", 1), ("shard", 0)):
        if isinstance(cfg[key], bool) or not isinstance(cfg[key], int) or cfg[key] < least:
            raise InputError(f"{key}={cfg[key]}: a whole number from {least} on is needed")
    if cfg.shard >= cfg.shards:
        raise InputError(f"shard={cfg.shard}: of shards={cfg.shards} the last one is {cfg.shards - 1}")
    refuse_half_on_cpu(cfg.trainer)


def refuse_unextractable(cfg: DictConfig, data: VideoData) -> None:
    """InputError for features of features, of a method that looks elsewhere, and for an augmentation without copies."""
    if data.source.features is not None:
        raise InputError("reader=features: these are features already; leave it out, and name the videos")
    refuse_pixels(cfg, data)
    method = hydra.utils.get_class(cfg.model._target_)
    if getattr(method, "reads_boxes", False):
        raise InputError(f"model: {method.__name__} looks into a backbone that trains with it; name another")
    if data.augment.mixes_targets:
        kind = type(data.augment).__name__
        raise InputError(f"aug: {kind} blends scores too, and copies hold features alone; say aug=swap or aug=none")
    if data.augment.replaces_pixels and not cfg.copies:
        raise InputError("copies=0: without copies nothing is augmented; say how many, as copies=8, or aug=none")


def run(cfg: DictConfig, data: VideoData, encoder: VideoEncoder, out: Path) -> None:
    """Write the manifest and what is missing of the features."""
    tree: Any = OmegaConf.to_container(OmegaConf.masked_copy(cfg, [*TOP_LEVEL, "copies"]), resolve=True)
    seen = seen_before(cfg.backbone, data.source)
    asked = facts(tree, data, encoder, frozenset[str]().union(*(one.names for one in seen)))
    copies = agree(out, asked)
    data.setup()
    units = all_units(data, cfg.copies, out)
    missing = [unit for unit in units[cfg.shard :: cfg.shards] if unit.missing()]
    features = asked["features"]
    refuse_full_disk(out, missing, features["clips"], features["size"])
    if (there := read_manifest(out)) is None or there.get(CONTENT) != copies:
        write_whole(out / MANIFEST, json.dumps(asked | {CONTENT: copies}, indent=1))
    trainer: Trainer = hydra.utils.instantiate(
        cfg.trainer, devices=1, num_nodes=1, strategy="auto", logger=False, enable_checkpointing=False
    )
    device = trainer.strategy.root_device
    extract(Extraction(data, encoder.to(device).eval(), device, trainer.precision_plugin), missing, cfg.plan)
    show(out, sum(len(unit.missing()) for unit in units))


def agree(out: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """The copies that the manifest in `out` will name.

    Raises:
        InputError: what lies in `out` was made otherwise, naming the key.
    """
    there = read_manifest(out)
    if there is None:
        begun: dict[str, Any] | None = asked[CONTENT]
        return begun
    found = difference(there, asked)
    if found is not None:
        raise InputError(f"{out / MANIFEST}: {found}; name another folder with out=, or ask for the same")
    if there.get("versions") != asked["versions"]:
        log.warning("%s: begun under other versions, so that features differ by rounding", out / MANIFEST)
    known: dict[str, Any] | None = there.get(CONTENT)
    own: dict[str, Any] | None = asked[CONTENT]
    if known is None or own is None:
        return own or known
    return own | {COUNT: max(known[COUNT], own[COUNT])}


def show(out: Path, left: int) -> None:
    """Print where the features are, and how to train on them."""
    console = open_console(soft_wrap=True, highlight=False)
    if left:
        rest = "give the command again, or wait for the other shards"
        console.print(f"{left} files are not there yet: {rest}", markup=False)
    usage = spelled(f"train data=... reader=features data.features.root={out}")
    console.print(f"written to {out}; {usage}", markup=False)
