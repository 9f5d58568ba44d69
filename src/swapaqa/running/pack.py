"""One file of a run for a colleague: configuration, predictions, weights, exemplar features, versions, local changes.

A pack is a checkpoint without what only training needs: `python -m src.evaluate checkpoint=PACK data.root=...` scores
with it anywhere. Under PACK_KEY it carries the run's result and the changes of the checkout. It is data: tensors and
plain values, read as any checkpoint is, and the patch in it is text that nobody applies.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from swapaqa.errors import InputError
from swapaqa.files.file_form import first_fault
from swapaqa.files.foreign_file import read_json
from swapaqa.files.tensor_file import load_tensors
from swapaqa.files.whole_file import whole, write_whole
from swapaqa.models.scorer import BATCH_NORM_KEY, CONFIG_KEY, FORMAT_KEY, TRAINED_ON_KEY
from swapaqa.models.stored_exemplars import EXEMPLARS_KEY
from swapaqa.recording.checkout import CHANGED, git
from swapaqa.recording.result_file import RESULT_FILE
from swapaqa.running.checkpoint import PACK_KEY, read_checkpoint
from swapaqa.running.jobs import CONFIG_FILE
from swapaqa.running.registry import plain

KEPT = (
    "epoch", "global_step", "state_dict", CONFIG_KEY, FORMAT_KEY, BATCH_NORM_KEY, EXEMPLARS_KEY, TRAINED_ON_KEY,
)  # fmt: skip
FOLDER_KEYS = (("data", "root"), ("data", "boxes", "root"), ("boxes", "root"))  # on the machine of the run
PATCH_FILE = "changes.patch"
Packed = dict[str, str]  # what stands under PACK_KEY: result, commit, patch; JSON and text


def pack(run: Path, checkpoint: str, out: Path) -> list[str]:
    """Write the pack of a finished run; returns what it lacks, a line each.

    Args:
        run: the folder of the run.
        checkpoint: the name of the one to pack, `last`.
        out: the file.

    Raises:
        InputError: the run has no result, or no such checkpoint.
    """
    if not (run / RESULT_FILE).is_file():
        raise InputError(f"{run}: has no {RESULT_FILE}; name the folder of a finished run")
    result = read_json(run / RESULT_FILE, "run again")
    path = run / "checkpoints" / f"{checkpoint}.ckpt"
    if not path.is_file():
        there = ", ".join(sorted(one.stem for one in path.parent.glob("*.ckpt"))) or "none"
        raise InputError(f"{path}: no such checkpoint; there are {there}")
    content = load_tensors(path)
    if not isinstance(content, dict) or not isinstance(content.get(CONFIG_KEY), dict):
        raise InputError(f"{path}: carries no configuration; name the folder of a run of ours")
    kept = {key: content[key] for key in KEPT if key in content}
    kept[CONFIG_KEY] = without_folders(plain(kept[CONFIG_KEY], str(path)))
    commit = str(result.get("git_commit") or "")
    patch, lacks = changes_of(commit)
    result["config"] = without_folders(result["config"])
    kept[PACK_KEY] = {"result": json.dumps(result), "commit": commit, "patch": patch, "checkpoint": checkpoint}
    with whole(out, out.suffix) as unfinished:
        torch.save(kept, unfinished)
    voters = kept[CONFIG_KEY].get("model", {}).get("voters")
    if voters and EXEMPLARS_KEY not in kept:
        lacks.append("no exemplar features: who scores with it needs the training videos (model.store_exemplars=true)")
    return lacks


def without_folders(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the folders of the machine that it ran on."""
    tree: dict[str, Any] = json.loads(json.dumps(config))
    for *path, last in FOLDER_KEYS:
        node: Any = tree
        for part in path:
            node = node.get(part) if isinstance(node, dict) else None
        if isinstance(node, dict) and last in node:
            node[last] = None
    return tree


def changes_of(commit: str) -> tuple[str, list[str]]:
    """The local changes of this checkout as a patch, where it is still at the run's commit; and what is not known."""
    if not commit.endswith(CHANGED):
        return "", [] if commit else ["no commit: the run was not started in a checkout"]
    try:
        if git("rev-parse", "HEAD").strip() != commit.removesuffix(CHANGED):
            return "", [f"no patch: the run had local changes, and this checkout is not at its {commit} any more"]
        return git("diff", "HEAD", "--no-color", "--no-ext-diff"), ["the patch is of the changes as they are now"]
    except (OSError, subprocess.CalledProcessError):
        return "", ["no patch: git cannot be asked"]


def unpack(path: Path, folder: Path, trust: Sequence[str] = ()) -> list[Path]:
    """Open a pack as the folder of a run, which `report` reads and `evaluate` scores with; returns the files.

    `trust`: packages whose classes its configuration may name.

    Raises:
        InputError: no pack, or the folder holds something.
    """
    content = read_checkpoint(str(path), trust)
    packed = content.get(PACK_KEY, {})
    fault = first_fault(Packed, packed)
    if fault or not {"result", "patch", "checkpoint"} <= packed.keys():
        raise InputError(f"{path}: no pack of a run ({fault or 'something is missing'}); evaluate it as a checkpoint")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; name another with --out")
    name = packed["checkpoint"] if packed["checkpoint"].isidentifier() else "last"
    checkpoint = folder / "checkpoints" / f"{name}.ckpt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    write_whole(checkpoint, path.read_bytes())
    write_whole(folder / CONFIG_FILE, yaml.safe_dump(content[CONFIG_KEY]))
    write_whole(folder / RESULT_FILE, packed["result"])
    files = [checkpoint, folder / CONFIG_FILE, folder / RESULT_FILE]
    if packed["patch"]:
        write_whole(folder / PATCH_FILE, packed["patch"])
        files.append(folder / PATCH_FILE)
    return files
