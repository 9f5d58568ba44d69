"""Whether a run can go on from its step checkpoint, said before Lightning tries."""

from pathlib import Path
from typing import Any

from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import shown
from swapaqa.files.tensor_file import load_tensors
from swapaqa.models.scorer import CONFIG_KEY, FORMAT, FORMAT_KEY, Scorer
from swapaqa.models.segment_pace import SegmentPace
from swapaqa.running.jobs import first_difference, identity
from swapaqa.running.value_digest import DIGEST_KEY, is_sealed

NEEDED = ("state_dict", "loops", "callbacks", "optimizer_states", "epoch", "global_step", CONFIG_KEY)


def check_resumable(path: Path, model: Scorer | SegmentPace) -> None:
    """Refuse a step checkpoint that is damaged, or of another run than that of `model`.

    Raises:
        InputError: with the way to start over.
    """
    fault = fault_of(path, model)
    if fault:
        raise InputError(
            f"{path}: {fault}, so the run cannot be continued; delete this file and give the same command with "
            "resume=true (a sweep's as it is) to start the run over"
        )


def fault_of(path: Path, model: Scorer | SegmentPace) -> str | None:
    """What is wrong with a step checkpoint, as part of a sentence; None if nothing is."""
    try:
        content = load_tensors(path)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except InputError as error:
        return str(error).removeprefix(f"{path}: ").partition(";")[0]  # what to do is another here
    except Exception as error:  # whatever readers raise of bytes that are not theirs
        return f"damaged ({' '.join(str(error).split())[:80] or type(error).__name__})"
    missing = [key for key in NEEDED if not isinstance(content, dict) or key not in content]
    if missing:
        return f"no step checkpoint ({', '.join(missing)} missing)"
    if not isinstance(content[CONFIG_KEY], dict):
        return "no step checkpoint (no configuration in it)"
    if content.get(FORMAT_KEY, 1) != FORMAT:
        return f"of another version (its format is {shown(content.get(FORMAT_KEY, 1))}, this one's {FORMAT})"
    if DIGEST_KEY not in content:
        return f"no step checkpoint ({DIGEST_KEY} missing)"
    if not is_sealed(content):
        return "not as it was written"
    difference = first_difference(identity(content[CONFIG_KEY]), identity(model.config or {}))
    return f"of another run: {difference}" if difference else other_weights(content["state_dict"], model)


def other_weights(stored: Any, model: Scorer | SegmentPace) -> str | None:
    """Whether weights have other names or shapes than those of `model`, as part of a sentence."""
    own = model.state_dict()
    if not isinstance(stored, dict) or stored.keys() != own.keys():
        return "of another model"
    for name, value in own.items():
        if not isinstance(stored[name], Tensor) or stored[name].shape != value.shape:
            return f"of another model: {name} has another shape"
    return None
