"""Counts of a call that is not run: operations, bytes that autograd keeps, bytes that live at once.

A step runs on tensors that have shapes and no memory (`FakeTensorMode`), so that a full-size one takes seconds, and
its 30 GiB nothing.
"""

import copy
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from lightning_fabric.utilities.apply_func import move_data_to_device
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from swapaqa.batch import map_columns, pooled
from swapaqa.bench.loop import Batch, Clock, Loop

Call = Callable[[], object]
for way in ("", "_backward"):  # attention, which PyTorch counts on other devices only
    attention = f"_scaled_dot_product_flash_attention{{}}{way}"
    on_cpu, elsewhere = (getattr(torch.ops.aten, attention.format(device)) for device in ("_for_cpu", ""))
    flop_registry.setdefault(on_cpu, flop_registry[elsewhere])


class Counts(NamedTuple):
    """Of one call."""

    flop: int  # two for a multiplication with its addition
    saved: int  # bytes that autograd keeps, at the most at once
    live: int  # bytes of all tensors at the most at once, without what operations need inside


class SavedTensors:
    """Bytes that autograd keeps for backward passes, `now` and at the most (`peak`), but not those of a recomputation.

    Every storage counts once, however many tensors look at it, and those of `known` tensors (parameters) not at all.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        self.known = {_key(tensor) for tensor in known}
        self.holders: Counter[int] = Counter()
        self.now = self.peak = 0

    def pack(self, tensor: Tensor) -> "SavedTensorHandle":
        """What autograd holds in place of a tensor."""
        key = _key(tensor)
        if key not in self.known:
            if not self.holders[key]:
                self.now += _nbytes(tensor)
                self.peak = max(self.peak, self.now)
            self.holders[key] += 1
        return SavedTensorHandle(self, tensor)

    def release(self, tensor: Tensor) -> None:
        """Autograd has let go of a tensor."""
        key = _key(tensor)
        if key not in self.known:
            self.holders[key] -= 1
            if not self.holders[key]:
                self.now -= _nbytes(tensor)


class SavedTensorHandle:
    """A saved tensor; says so when it is let go."""

    def __init__(self, saved: SavedTensors, tensor: Tensor) -> None:
        self.saved, self.tensor = saved, tensor

    def __del__(self) -> None:
        self.saved.release(self.tensor)


class LiveTensors(TorchDispatchMode):
    """Bytes of the tensors that operations have made and that are still there, `now` and at the most (`peak`).

    An operation's own scratch memory, such as a convolution's workspace, is not seen.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # PyTorch's own
        self.seen = {_key(tensor) for tensor in known}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and _key(tensor) not in self.seen:
                self._add(_key(tensor), tensor)
        return made

    def _add(self, key: int, tensor: Tensor) -> None:
        nbytes = _nbytes(tensor)
        self.seen.add(key)
        self.now += nbytes
        self.peak = max(self.peak, self.now)
        weakref.finalize(tensor.untyped_storage(), self._remove, key, nbytes)

    def _remove(self, key: int, nbytes: int) -> None:
        self.seen.discard(key)  # another storage may come to lie there
        self.now -= nbytes


def count(call: Call, known: Sequence[Tensor], warm_up: bool) -> Counts:
    """What `call` does, which is called twice. `known`: tensors that are there anyway.

    `warm_up`: call it once before, so that what it makes once and keeps, as the optimiser's moments, is there and
    counts as live.
    """
    saved, live = SavedTensors(known), LiveTensors(known)
    with live:
        if warm_up:
            call()
        live.peak = live.now
        with torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda kept: kept.tensor):
            call()
    flop = FlopCounterMode(display=False)
    with flop:  # in a call of its own: what is recomputed would stay alive under it
        call()
    return Counts(flop.get_total_flops(), saved.peak, live.peak)


def count_loop(loop: Loop, batch: Batch) -> Counts:
    """Of one step, or encoding, from the swap on. Everything that a step needs to have there counts as live.

    Call it before `loop.watch()`: the copy would turn the same clock.
    """
    mode = FakeTensorMode()
    ready = loop.prepare(move_data_to_device(batch, loop.device))
    fake = copy.copy(loop)
    fake.model = copy.deepcopy(loop.model)._apply(mode.from_tensor)  # type: ignore[no-untyped-call]  # PyTorch's own
    fake.clock = Clock(torch.device("cpu"))
    ready = map_columns(ready, mode.from_tensor)
    weights = [*fake.model.parameters(), *fake.model.buffers()]
    inputs = [column for column in tree_leaves(ready) if isinstance(column, Tensor)]
    with mode:
        fake.optimiser = fake.make_optimiser()
        counts = count(lambda: fake.work(ready), [*weights, *inputs], warm_up=not loop.inference)
    there = bytes_of(weights) + bytes_of(inputs) + pooled(batch).video.nbytes
    return counts._replace(live=counts.live + there)


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Of different storages together."""
    return sum({_key(tensor): _nbytes(tensor) for tensor in tensors}.values())


def _key(tensor: Tensor) -> int:
    storage: int = tensor.untyped_storage()._cdata
    return storage


def _nbytes(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()
