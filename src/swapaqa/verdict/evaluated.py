"""Evaluations of checkpoints as what they are of: augmentation and seed of the training, videos of the evaluation.

So the checkpoints of a sweep that `src.evaluate` scored on another data set are compared like the runs of a sweep.
"""

from dataclasses import replace
from pathlib import Path

from swapaqa.errors import InputError
from swapaqa.running.facts import settings_digest
from swapaqa.runs.run import Run
from swapaqa.runs.run_folders import holds_runs, read_sweep

TRAINED_ON = ", trained on "


def as_trained(run: Run) -> Run | None:
    """An evaluation with the facts of the run whose checkpoint it is of; None where that run is not there any more.

    Its data set is called `finediving, trained on mtl_aqa`; its configuration is that of the training, and what it was
    scored on.
    """
    assert run.facts is not None
    assert run.config is not None
    checkpoint = run.configured("checkpoint")
    if not isinstance(checkpoint, str) or len(Path(checkpoint).parts) < 3:
        return None
    folder = Path(checkpoint).parents[1]  # of <run>/checkpoints/last.ckpt
    if not holds_runs(folder):
        return None
    try:
        runs = read_sweep(folder).runs
    except InputError:
        return None
    trained = runs[0] if len(runs) == 1 else None
    if trained is None or trained.facts is None or trained.config is None:
        return None
    scored_on = settings_digest({"data": run.config.get("data")})
    return replace(
        run,
        overrides=trained.overrides,
        choices=trained.choices,
        config={**trained.config, "scored_on": scored_on},
        facts=replace(trained.facts, data=f"{run.facts.data}{TRAINED_ON}{trained.facts.data}"),
    )
