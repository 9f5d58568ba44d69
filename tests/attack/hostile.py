"""Configurations that a stranger's file could carry, which would run something if they were instantiated."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLACES = (  # of a whole configuration
    "model", "model.encoder", "model.encoder.network", "model.depth", "backbone", "backbone.network", "schedule",
    "schedule.epochs", "data", "data.geometry", "data.boxes", "data.augment", "data.settings", "data.root", "aug",
    "aug.ratio", "boxes", "name", "seed", "trainer.precision", "made_up",
)  # fmt: skip


def payloads(canary: Path) -> dict[str, Any]:
    """What would make the file `canary`, or is of a kind that could."""
    touch = f"touch {canary}"
    return {
        "torch.utils.collect_env.run": {"_target_": "torch.utils.collect_env.run", "command": touch},
        "a class's neighbour": {"_target_": "swapaqa.running.processes.os.system", "command": touch},
        "with positions": {"_target_": "os.system", "_args_": [touch]},
        "a class in a class": {"_target_": "subprocess.Popen", "args": ["touch", str(canary)]},
        "eval": {"_target_": "builtins.eval", "_args_": [f"open({str(canary)!r}, 'w')"]},
        "exec": {"_target_": "builtins.exec", "_args_": [f"open({str(canary)!r}, 'w')"]},
        "torch.load": {"_target_": "torch.load", "f": str(canary), "weights_only": False},
        "a method by name": {"_target_": "hydra.utils.get_method", "path": "os.system"},
        "partial": {"_target_": "os.system", "_partial_": True, "_args_": [touch]},
        "a path": {"_target_": "pathlib.Path.touch", "_args_": [{"_target_": "pathlib.Path", "_args_": [str(canary)]}]},
        "within a registered class": {
            "_target_": "swapaqa.data.boxes.NoBoxes",
            "ratio": {"_target_": "torch.utils.collect_env.run", "command": touch},
        },
        "within a list": [{"_target_": "torch.utils.collect_env.run", "command": touch}],
        "positions of a registered class": {
            "_target_": "swapaqa.data.boxes.NoBoxes",
            "_args_": [{"_target_": "torch.utils.collect_env.run", "command": touch}],
        },
        "almost a registered class": {"_target_": "swapaqa.models.core.CoRe.__init__"},
        "a name with spaces": {"_target_": " swapaqa.models.core.CoRe"},
        "no name": {"_target_": {"_target_": "os.system"}},
        "environment": "${oc.env:HOME}",
        "resolver": "${run_folder:}",
        "escaped": "\\${oc.env:HOME}",
        "missing": "???",
    }


ELSEWHERE = (  # names that a walk, a prefix, a careless comparison or an import would let through
    "os.system", "posix.system", "subprocess.call", "builtins.eval", "builtins.__import__", "builtins.open",
    "importlib.import_module", "runpy.run_path", "ctypes.CDLL", "pickle.loads", "marshal.loads", "yaml.unsafe_load",
    "torch.load", "torch.hub.load", "torch.utils.cpp_extension.load_inline", "torch.multiprocessing.spawn",
    "numpy.load", "scipy.io.loadmat", "cv2.imwrite", "wandb.init", "shutil.rmtree", "pathlib.Path.unlink",
    "functools.partial", "operator.attrgetter", "types.FunctionType", "threading.Thread", "webbrowser.open",
    "hydra.utils.instantiate", "hydra.utils.call", "hydra.utils.get_class", "hydra._internal.utils._locate",
    "omegaconf.OmegaConf.load", "pytorch_lightning.Trainer", "pytorch_lightning.loggers.CSVLogger",
    "swapaqa.models.core.CoRe.build_tree", "swapaqa.models.core.CoRe.load_from_checkpoint",
    "swapaqa.models.core.CoRe.__init__.__globals__", "swapaqa.models.core.CoRe.__class__",
    "swapaqa.models.core.torch.load", "swapaqa.running.processes.subprocess.Popen", "swapaqa.running.processes.run_job",
    "swapaqa.running.jobs.shutil.rmtree", "swapaqa.files.whole_file.write_whole", "swapaqa.data.demo_files.write_demo",
    "src.swapaqa.models.core.CoRe", "src.train.main", "swapaqa.models.core.CoRe ", "swapaqa.models.core.CoRe\n",
    "swapaqa.models.core.CoRe\0", "swapaqa.models.core.core", "swapaqa.models.core..CoRe", "swapaqa.models.core.CoRe.",
    "swapaqa.models.core:CoRe", "swapaqa.models.\u217dore.CoRe", "CoRe", "", ".", "..", "__main__.os.system",
)  # fmt: skip


def places(config: Any, path: str = "") -> Iterator[str]:
    """Every dotted place of a configuration."""
    for key, value in config.items() if isinstance(config, dict) else ():
        yield f"{path}{key}"
        yield from places(value, f"{path}{key}.")


def with_payload(config: dict[str, Any], place: str, payload: Any) -> dict[str, Any]:
    """The configuration with something else at a dotted place."""
    changed = copy.deepcopy(config)
    *path, last = place.split(".")
    node = changed
    for part in path:
        node = node.setdefault(part, {})
    node[last] = payload
    return changed


def hostile_configurations(config: dict[str, Any], canary: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every payload at every place, as (name, configuration)."""
    for what, payload in payloads(canary).items():
        for place in PLACES:
            yield f"{what} at {place}", with_payload(config, place, payload)


def hostile_texts(canary: Path) -> dict[str, bytes]:
    """Files of other kinds that run, fetch or include something where a careless reader opens them."""
    touch = f"touch {canary}"
    return {
        "yaml tag": f'a: !!python/object/apply:os.system ["{touch}"]\n'.encode(),
        "yaml object": b"a: !!python/object:subprocess.Popen {}\n",
        "yaml name": b"a: !!python/name:os.system\n",
        "json": b'{"py/reduce": [{"py/function": "os.system"}, ["%s"]]}' % touch.encode(),
        "pickle": b"cos\nsystem\n(S'%s'\ntR." % touch.encode(),
        "xml entity": f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file://{canary}">]><a>&x;</a>'.encode(),
        "xml laughs": b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]><a>&y;</a>',
    }
