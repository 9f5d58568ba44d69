"""What a table says beside its numbers: seeds, protocols and box sources of its runs, and which jobs are missing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from swapaqa.measures.ours import RELATIVE_L2, SPEARMAN
from swapaqa.report.arms import Arm, Arms, seeds_of
from swapaqa.report.runs import Run, Sweep
from swapaqa.running.jobs import State

FLOORS = {  # by baseline, as `swapaqa.baselines` says
    "event": "training mean of the competition",
    "difficulty": "of the difficulty",
    "both": "completeness of the competition x difficulty",
}
PROTOCOLS = {  # in the order of columns and rows
    "last": "last epoch",
    "best_on_test": "best epoch on test, as published numbers are",
    "best_on_val": "best epoch on a part cut from train",
}


def protocols_of(arms: Arms) -> tuple[str, ...]:
    """The protocols of the finished runs, in a fixed order; `last` where none is finished."""
    found = dict.fromkeys(name for members in arms.values() for member in members for name in member.run.protocols)
    known = [name for name in PROTOCOLS if name in found]
    return (*known, *(name for name in found if name not in PROTOCOLS)) or ("last",)


def caption(what: str, arms: Arms, protocols: Iterable[str]) -> str:
    """One paragraph: what the numbers are, and over which seeds, protocols and box sources."""
    seeds = sorted({seed for members in arms.values() for seed in seeds_of(members)})
    count = f"{len(seeds)} seed{'s' if len(seeds) != 1 else ''} ({', '.join(map(str, seeds))})" if seeds else "no seed"
    spread = "; mean ± sample standard deviation over seeds" if len(seeds) > 1 else ""
    meanings = [f"{name} ({PROTOCOLS[name]})" if name in PROTOCOLS else name for name in protocols]
    return f"{what}{spread}. Seeds: {count}. Protocol: {', '.join(meanings)}. Boxes: {box_words(list(arms))}."


def box_words(arms: Sequence[Arm]) -> str:
    """`darklabel at ratio 1, 2; none (no swap)`."""
    sources: dict[str, list[str]] = {}
    for arm in arms:
        ratios = sources.setdefault(arm.boxes, [])
        if arm.ratio is not None and f"{arm.ratio:g}" not in ratios:
            ratios.append(f"{arm.ratio:g}")
    words = (f"{name} at ratio {', '.join(ratios)}" if ratios else name for name, ratios in sources.items())
    return "; ".join("none (no swap)" if word == "none" else word for word in words)


def floor_notes(arms: Arms) -> tuple[str, ...]:
    """A line for every data set and test split of which results have floors: what needs no video."""
    notes: dict[str, None] = {}
    for arm, members in arms.items():
        for member in members:
            for split, floors in member.run.floors.items():
                numbers = "; ".join(f"{FLOORS[name]} {_floor_words(found)}" for name, found in floors.items())
                notes[f"Without a pixel, {arm.data}, {split} (rho, R-l2 x100): {numbers}"] = None
    return tuple(notes)


def _floor_words(found: Mapping[str, Any]) -> str:
    rho = found[SPEARMAN.name]
    return f"{'undefined' if rho is None else f'{rho:.3f}'}, {found[RELATIVE_L2.name]:.2f}"


def missing_notes(sweeps: Sequence[Sweep], runs: Iterable[Run]) -> tuple[str, ...]:
    """A line for every damaged or failed job with its reason, one for all unfinished, one for all not started."""
    wanted = {id(run) for run in runs}
    notes = []
    for sweep in sweeps:
        chosen = [run for run in sweep.runs if id(run) in wanted]
        for state in (State.DAMAGED, State.FAILED, State.UNFINISHED, State.NOT_STARTED):
            found = [run for run in chosen if run.state is state]
            said = [run for run in found if run.failure]
            quiet = [_job_words(sweep, run) for run in found if not run.failure]
            notes += [f"{state.value}: {sweep.name} job {_job_words(sweep, run)}: {run.failure}" for run in said]
            notes += [f"{state.value}: {sweep.name} job{'s' * (len(quiet) > 1)} {'; '.join(quiet)}"] if quiet else []
    return tuple(notes)


def _job_words(sweep: Sweep, run: Run) -> str:
    values = ", ".join(f"{key}={value}" for key, value in sweep.values(run).items())
    return f"{run.job} ({values})" if values else run.job
