"""The batch of a run on many devices beside the published one, `batch=scaled`.

A method is published with videos of a step (its effective batch: batch x accumulated batches). More devices share them
as long as they divide; where they are fewer than the devices, or do not divide, the step has as many more videos as it
needs, and the learning rates grow by the same factor (linear scaling, Goyal et al., arXiv 1706.02677, which was shown
for SGD; none of the methods here was published that way).
"""

from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from swapaqa.running.devices import per_node


class Scaled(NamedTuple):
    """Videos (or pairs) of a batch over all processes, batches of a step, factor of the learning rates."""

    batch_size: int
    accumulate: int
    rate_scale: float


def scale(batch_size: int, accumulate: int, processes: int) -> Scaled:
    """The smallest batch, from the published one on, that divides by `processes`: with the published step if it can."""
    published = batch_size * accumulate
    first = -(-batch_size // processes) * processes
    for batch in range(first, published + 1, processes):
        if published % batch == 0:
            return Scaled(batch, published // batch, 1.0)
    whole = -(-published // processes) * processes
    return Scaled(whole, 1, whole / published)


def scaled(key: str, *, _root_: DictConfig) -> int | float:
    """`${scaled:batch_size}`: a field of `Scaled` for the published schedule and the trainer's devices."""
    processes = per_node(_root_.trainer) * _root_.trainer.num_nodes
    found: int | float = getattr(scale(_root_.schedule.batch_size, _root_.schedule.accumulate, processes), key)
    return found


def rate(published: float, *, _root_: DictConfig) -> float:
    """`${rate:1.0e-3}`: a published learning rate times `schedule.rate_scale`, where there is one."""
    factor = OmegaConf.select(_root_, "schedule.rate_scale")
    return published if factor is None else published * factor
