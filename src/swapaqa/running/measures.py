"""The metrics of a run: those that its configuration asks for, tried before anything is trained, and those of a result.

A metric of the user's own is a function that returns a `Measure` and a yaml that names it, in the folder `measures` of
Hydra's search path. In a file it is data like everything else: its description is shown, and the function is called
only where the user trusts its package (`swapaqa.running.registry`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import hydra
import numpy as np
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from swapaqa.configuration.moved import TARGET
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import reason
from swapaqa.measures.ours import OURS, STANDARD, stored_measures
from swapaqa.measures.record import Description, Measure, Scores
from swapaqa.running.registry import MEASURES, admit_measure, registry

TRIED_ON = 24  # made-up videos
TOLERANCE = 1e-6  # relative, between a metric's `value` and its `draws`


def configured_measures(node: Any) -> tuple[Measure, ...]:
    """`STANDARD` and the metrics of a configuration's `measures`, each of which works.

    Args:
        node: by name, as Hydra composed it; None where nothing was asked.

    Raises:
        InputError: naming the one that is no metric, has another name, or does not compute one.
    """
    if node is not None and not OmegaConf.is_dict(node):
        raise InputError(
            f"measures={node}: names options of conf/measures or of your own folder, measures=[kendall_tau]"
        )
    found = {name: checked_measure(make_measure(str(name), one)) for name, one in (node or {}).items()}
    return tuple(({measure.name: measure for measure in STANDARD} | found).values())


def make_measure(name: str, node: Any) -> Measure:
    """What a trusted configuration describes; InputError as `configured_measures`."""
    try:
        measure = hydra.utils.instantiate(node) if OmegaConf.is_dict(node) else node
    except InstantiationException as error:
        raise InputError(f"measures.{name}: {reason(error.__cause__ or error)}") from error
    if not isinstance(measure, Measure):
        raise InputError(f"measures.{name}: describes no metric; name a function that returns a Measure with _target_")
    if measure.name != name:
        raise InputError(f"measures.{name}: makes the metric {measure.name}; call both the same")
    if name in OURS and measure.described() != OURS[name].described():
        raise InputError(f"measures.{name}: is a metric of this project; give yours another name")
    return measure


def checked_measure(measure: Measure) -> Measure:
    """The same, if it gives one number of a test set, and of two draws at once the same two.

    Raises:
        InputError: it does not.
    """
    generator = np.random.default_rng(0)
    true = generator.normal(70, 10, TRIED_ON)
    deviation = generator.uniform(1, 9, TRIED_ON)
    whole = Scores(true + deviation * generator.normal(size=TRIED_ON), true, deviation)
    try:
        one, both = measure.of(whole), measure.of_draws(whole.at(np.tile(np.arange(TRIED_ON), (2, 1))), whole)
    except Exception as error:  # whatever the user's function does, it must not do it after a training
        raise InputError(
            f"measures.{measure.name}: fails on {TRIED_ON} made-up videos ({type(error).__name__}: {reason(error)})"
        ) from error
    if both.shape != (2,) or not np.allclose(both, one, rtol=TOLERANCE, equal_nan=True):
        raise InputError(
            f"measures.{measure.name}: its draws have to be one number a draw, twice the value {one:.6g} of the same "
            f"videos, and are {both.tolist()}"
        )
    return measure


def known_measures(result: Mapping[str, Any], trust: Sequence[str]) -> dict[str, Description]:
    """The metrics of a `result.json`; those of `conf` and of packages in `trust` can be computed too.

    Raises:
        InputError: a name or a description that is none, or a metric that is trusted and not there.
    """
    found, nodes = stored_measures(result), result["config"].get(MEASURES, {})
    for name in found:
        target = str(nodes.get(name, {}).get(TARGET, ""))
        known = target in registry().admitted[MEASURES] or target.partition(".")[0] in trust
        if name not in OURS and known:
            found[name] = checked_measure(
                make_measure(name, OmegaConf.create(admit_measure(nodes[name], name, "its configuration", trust)))
            )
    return found


def package_of(result: Mapping[str, Any], name: str) -> str:
    """The package that a metric of a `result.json` comes from, to be named in a message; empty if it says none."""
    target = str(result["config"].get(MEASURES, {}).get(name, {}).get(TARGET, ""))
    return target.partition(".")[0]
