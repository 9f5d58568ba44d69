"""Captions of tables and figures: seeds, protocols and boxes of the runs, and the missing jobs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from swapaqa.measures.ours import RELATIVE_L2, SPEARMAN
from swapaqa.measures.record import Description
from swapaqa.running.jobs import State
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.settings import PROTOCOLS, Setting, Settings, seeds_of

FLOORS = {  # by baseline, as `swapaqa.probing.baselines` says
    "event": "training mean of the event",
    "difficulty": "of the difficulty",
    "both": "completeness of the event x difficulty",
}
WITHOUT_FACTS = "planned before jobs.json had facts: jobs that did not start are listed by their overrides"


def protocol_words(protocol: str) -> str:
    """The sentence that goes into a caption; a checkpoint's own name where it was evaluated by itself."""
    return f"Protocol: {PROTOCOLS.get(protocol, protocol)}."


def which(measures: Sequence[Description]) -> str:
    """The beginning of a caption."""
    return "Both metrics" if len(measures) == 2 else "All metrics"


def by_fishers_z(measures: Sequence[Description]) -> str:
    """`rho by Fisher's z`: how those that are no means are averaged."""
    return f"{', '.join(measure.short for measure in measures if measure.average == 'fisher')} by Fisher's z"


def of_splits(splits: Sequence[str]) -> str:
    """`of the test split`, `of the splits test, shifted`."""
    return f"of the {splits[0]} split" if len(splits) == 1 else f"of the splits {', '.join(splits)}"


def caption(what: str, settings: Settings, protocols: Iterable[str]) -> str:
    """One paragraph: what the numbers are, and over which seeds, protocols and box sources."""
    seeds = sorted({seed for runs in settings.values() for seed in seeds_of(runs)})
    count = f"{len(seeds)} seed{'s' if len(seeds) != 1 else ''} ({', '.join(map(str, seeds))})" if seeds else "no seed"
    spread = "; mean ± sample standard deviation over seeds" if len(seeds) > 1 else ""
    meanings = [f"{name} ({PROTOCOLS[name]})" if name in PROTOCOLS else name for name in protocols]
    return f"{what}{spread}. Seeds: {count}. Protocol: {', '.join(meanings)}. Boxes: {box_words(list(settings))}."


def box_words(settings: Sequence[Setting]) -> str:
    """`darklabel at ratio 1, 2; none (no swap)`."""
    sources: dict[str, list[str]] = {}
    for setting in settings:
        ratios = sources.setdefault(setting.boxes, [])
        if setting.ratio is not None and f"{setting.ratio:g}" not in ratios:
            ratios.append(f"{setting.ratio:g}")
    words = (f"{name} at ratio {', '.join(ratios)}" if ratios else name for name, ratios in sources.items())
    return "; ".join("none (no swap)" if word == "none" else word for word in words) or "not known"


def floor_notes(settings: Settings) -> tuple[str, ...]:
    """A line for every data set and test split of which results have floors: what needs no video."""
    notes: dict[str, None] = {}
    for setting, runs in settings.items():
        for run in runs:
            for split, floors in run.floors.items():
                numbers = "; ".join(f"{FLOORS[name]} {_floor_words(found)}" for name, found in floors.items())
                notes[f"Without a pixel, {setting.data}, {split} (rho, R-l2 x100): {numbers}"] = None
    return tuple(notes)


def _floor_words(found: Mapping[str, Any]) -> str:
    rho = found[SPEARMAN.name]
    return f"{'undefined' if rho is None else f'{rho:.3f}'}, {found[RELATIVE_L2.name]:.2f}"


def missing_notes(sweeps: Sequence[Sweep], runs: Iterable[Run]) -> tuple[str, ...]:
    """A line for every damaged or failed job with its reason, one for all unfinished, one for all not started.

    Of the sweeps of `runs` also those jobs of which no fact is known, and one line that says so.
    """
    wanted = {id(run) for run in runs}
    notes = []
    for sweep in sweeps:
        if sweep.has_facts and not any(id(run) in wanted for run in sweep.runs):
            continue
        chosen = [run for run in sweep.runs if id(run) in wanted or run.facts is None]
        for state in (State.DAMAGED, State.FAILED, State.UNFINISHED, State.NOT_STARTED):
            found = [run for run in chosen if run.state is state]
            said = [run for run in found if run.failure]
            quiet = [_job_words(sweep, run) for run in found if not run.failure]
            notes += [f"{state.value}: {sweep.name} job {_job_words(sweep, run)}: {run.failure}" for run in said]
            notes += [f"{state.value}: {sweep.name} job{'s' * (len(quiet) > 1)} {'; '.join(quiet)}"] if quiet else []
        notes += [f"{sweep.name}: {WITHOUT_FACTS}"] if sweep.without_facts else []
    return tuple(notes)


def _job_words(sweep: Sweep, run: Run) -> str:
    values = ", ".join(f"{key}={value}" for key, value in sweep.values(run).items() if value)  # a list has not all
    return f"{run.job} ({values})" if values else run.job
