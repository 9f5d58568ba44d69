"""Answers at the head of a report: the best setting on every split, and whether the difference is more than noise."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from swapaqa.errors import InputError
from swapaqa.measures.ours import SPEARMAN
from swapaqa.pool import cores, in_processes
from swapaqa.report.figures import question_scopes
from swapaqa.report.scope import Scope
from swapaqa.report.table import Value, cell_text
from swapaqa.runs.compare import Chosen, Protocol, Side, difference, read_side
from swapaqa.runs.factors import factor_name, find_factors, parted
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.runs_table import Estimate, Estimates
from swapaqa.runs.settings import PROTOCOLS, Setting, label, pairs_of, seeds_of, splits_of

Names = Mapping[Any, str]  # of settings, by the keys of their estimates
WORTH_PROCESSES = 8  # comparisons, of a tenth of a second each


class Comparison(NamedTuple):
    """Two settings on the videos of one split; `why_not`: they are not compared."""

    ours: Side | None
    others: Side | None
    why_not: str = ""


class Draft(NamedTuple):
    """An answer before its settings are compared. `lines`: words, and the comparison that ends them."""

    question: str
    lines: list[tuple[str, Comparison | None]]


class Answer(NamedTuple):
    """`question`: what differs, of which data and model. `lines`: a sentence a split, and whether they disagree."""

    question: str
    lines: tuple[str, ...]


def answers(sweeps: Sequence[Sweep], protocol: str) -> list[Answer]:
    """An answer to every question that the runs ask, by Spearman's rho under one protocol; none of single settings."""
    drafts = [draft for draft in _drafts(sweeps, protocol) if draft.lines]
    compared = [comparison for draft in drafts for _, comparison in draft.lines if comparison]
    processes = cores() if len(compared) >= WORTH_PROCESSES else 1
    said = dict(in_processes(_said, list(enumerate(compared)), processes))
    sentences = iter([said[number] for number in range(len(compared))])
    return [
        Answer(
            f"{question} ({PROTOCOLS.get(protocol, protocol)})",
            tuple(f"{words}: {next(sentences)}" if comparison else words for words, comparison in lines),
        )
        for question, lines in drafts
    ]


def _drafts(sweeps: Sequence[Sweep], protocol: str) -> list[Draft]:
    listed, sweeps = parted(sweeps)
    scopes = question_scopes(sweeps)
    found = []
    for name, same in listed.items():
        factors = find_factors(same)
        names: Names = {own: factor_name(own) for own in factors.runs}
        found.append(_ranked(f"One factor at a time, {name}", factors.estimates, names, protocol))
    for scope in scopes["ratios"]:
        names = {one: f"ratio {one.ratio:g}" for one in scope.settings}
        found.append(_ranked(f"Scale ratio, {_model_words(scope)}", scope.estimates, names, protocol))
    for scope in scopes["sources"]:
        names = {one: "no swap" if one.boxes == "none" else f"{one.boxes} boxes" for one in scope.settings}
        found.append(_ranked(f"Box source, {_model_words(scope)}", scope.estimates, names, protocol))
    for scope in [] if scopes["sources"] else scopes["models"]:
        found += [_with_and_without(scope, pair, protocol) for pair in pairs_of(scope.settings)]
    return found


def _model_words(scope: Scope) -> str:
    first = next(iter(scope.settings))
    return f"{first.model} on {first.data}"


def _ranked(question: str, estimates: Estimates, names: Names, protocol: str) -> Draft:
    """The best of several settings on every split, and how far the next is."""
    lines: list[tuple[str, Comparison | None]] = []
    best = {}
    for split in splits_of(run for runs in estimates.groups.values() for run in runs):
        every = {one: estimates.of(one, SPEARMAN, protocol, split) for one in names}
        known = {one: found for one, found in every.items() if found and not math.isnan(found.mean)}
        order = sorted(known, key=lambda one: -known[one].mean)
        if len(order) < 2:
            continue
        first, second = order[:2]
        best[split] = names[first]
        numbers = [_words(estimates, one, known[one]) for one in (first, second)]
        words = f"{split}: {names[first]} has the highest ρ, {numbers[0]}; {names[second]} is next, {numbers[1]}"
        lines.append((words, _comparison(estimates, first, second, protocol, split)))
    if len(set(best.values())) > 1:
        disagree = ", ".join(f"{name} on {split}" for split, name in best.items())
        lines.append((f"The splits disagree: {disagree}.", None))
    return Draft(question, lines)


def _with_and_without(scope: Scope, pair: tuple[Setting, Setting], protocol: str) -> Draft:
    plain, swapped = pair
    lines: list[tuple[str, Comparison | None]] = []
    for split in scope.splits:
        before, after = (scope.estimates.of(one, SPEARMAN, protocol, split) for one in pair)
        if before and after and not math.isnan(before.mean + after.mean):
            words = [_words(scope.estimates, *one) for one in ((swapped, after), (plain, before))]
            compared = _comparison(scope.estimates, swapped, plain, protocol, split)
            lines.append((f"{split}: ρ {words[0]} with the swap, {words[1]} without", compared))
    return Draft(f"The swap, {label(swapped)} on {scope.data}", lines)


def _words(estimates: Estimates, key: object, found: Estimate) -> str:
    """`0.947 [0.91, 0.97]` of one seed, `0.947 ± 0.012 (3 seeds)`, `0.947 (1 of 3 seeds)`."""
    planned = f"{found.seeds} of {len(seeds_of(estimates.groups[key]))}" if estimates.is_partial(key, found) else ""
    seeds = f" ({planned or found.seeds} seeds)" if planned or found.seeds > 1 else ""
    return cell_text(Value(found.mean, found.deviation, 3, "", found.interval)) + seeds


def _comparison(estimates: Estimates, ours: object, others: object, protocol: str, split: str) -> Comparison:
    try:
        one, other = (_sides(estimates.groups[key], Protocol(SPEARMAN.name, protocol, split)) for key in (ours, others))
        return Comparison(one, other)
    except InputError as error:
        return Comparison(None, None, str(error))


def _said(numbered: tuple[int, Comparison]) -> tuple[int, str]:
    """`+0.02, 95 % interval [-0.01, 0.05] over the videos: not distinguishable from noise.`, or why it is not known."""
    number, (one, other, why_not) = numbered
    if one is None or other is None:
        return number, f"not compared ({why_not})."
    common = one.videos.keys() & other.videos.keys()
    if not common:
        return number, "not compared, as they have no seed in common."
    try:
        found = difference(SPEARMAN, _of_seeds(one, common), _of_seeds(other, common))
    except InputError as error:
        return number, f"not compared ({error})."
    both = "" if one.videos.keys() == other.videos.keys() else ", of the seeds that both have"
    over = ("the videos" if len(common) == 1 else f"{len(common)} seeds") + both
    ends = "undefined" if found.interval is None else f"[{found.interval[0]:+.3f}, {found.interval[1]:+.3f}]"
    return number, f"{found.difference:+.3f}, 95 % interval {ends} over {over}, {found.verdict}."


def _sides(runs: Sequence[Run], protocol: Protocol) -> Side:
    done = [run for run in runs if run.result is not None]
    return read_side(Chosen(str(done[0].folder), "", done), protocol, with_deviation=False)


def _of_seeds(side: Side, seeds: set[int]) -> Side:
    return Side(side.text, side.name, {seed: found for seed, found in side.videos.items() if seed in seeds})
