"""A metric as a record: what it is called, which way is better, how it is computed, averaged, resampled and exchanged.

Whatever prints, logs, resamples or compares a metric asks its record and knows none by name; `swapaqa.measures.ours`
lists the project's own. `Description` is the part that is plain data: `result.json` carries it, so that a report can
show a metric whose code it does not have.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from swapaqa.errors import InputError
from swapaqa.metrics import fisher_mean

Average = Literal["fisher", "mean"]
RESERVED = ("videos",)  # stands beside the metrics in result.json
MOST_DECIMALS, LONGEST_TITLE = 10, 60


class Scores(NamedTuple):
    """Predictions of one run on the test videos of one action, and their truths, (N,) float64 each, in one unit.

    `deviation`: the standard deviations that the method predicts, NaN for a video without one; None: it has none.
    Draws of test sets are (..., N).
    """

    predicted: np.ndarray
    true: np.ndarray
    deviation: np.ndarray | None = None

    def at(self, positions: np.ndarray) -> "Scores":
        """The videos at `positions`, (..., N)."""
        deviation = None if self.deviation is None else self.deviation[positions]
        return Scores(self.predicted[positions], self.true[positions], deviation)


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a table needs to know of a metric.

    Attributes:
        name: in result.json, logs and on the command line; an identifier.
        title: of tables, in ASCII where they have to be printed anywhere.
        decimals: that are printed.
        higher_is_better: None: neither, as of a coverage, which has a nominal value.
        average: over actions: by Fisher's z, for correlations, or the mean.
        short: the title for narrow columns; empty: the title.
        label: the title in figures and on the page, with any letters; empty: the title.

    Raises:
        InputError: naming what cannot be.
    """

    name: str
    title: str
    decimals: int
    higher_is_better: bool | None
    average: Average = "mean"
    short: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        sound = isinstance(self.name, str) and self.name.isidentifier() and self.name.isascii()
        if not sound or self.name in RESERVED:
            raise InputError(f"measures: a metric cannot be called {self.name!r}; take a name of letters, digits and _")
        for text in (self.title, self.short, self.label):
            if not (isinstance(text, str) and text.isprintable() and len(text) <= LONGEST_TITLE):
                raise InputError(f"measures.{self.name}: a title is one line of at most {LONGEST_TITLE} characters")
        if not (isinstance(self.decimals, int) and 0 <= self.decimals <= MOST_DECIMALS) or not self.title:
            raise InputError(f"measures.{self.name}: needs a title, and decimals from 0 to {MOST_DECIMALS}")
        if self.higher_is_better not in (True, False, None) or self.average not in ("fisher", "mean"):
            raise InputError(
                f"measures.{self.name}: higher_is_better is true, false or null and average is fisher or mean, not "
                f"{self.higher_is_better} and {self.average}"
            )
        for key in ("short", "label"):
            object.__setattr__(self, key, getattr(self, key) or self.title)

    @property
    def direction(self) -> str:
        """`higher is better`, of an axis or a sentence."""
        return {True: "higher is better", False: "lower is better", None: "has a nominal value"}[self.higher_is_better]

    @property
    def axis(self) -> str:
        return f"{self.label} ({self.direction})"

    @property
    def change(self) -> str:
        """What a relative change to the better is called."""
        return {True: "gain", False: "decrease", None: "change"}[self.higher_is_better]

    def over_actions(self, values: Sequence[float]) -> float:
        """The average of one number an action; NaN where one of them is."""
        column = torch.tensor(values, dtype=torch.float64)
        return float(fisher_mean(column) if self.average == "fisher" else column.mean())

    def described(self) -> dict[str, Any]:
        """The plain data but for the name, as `result.json` has it under that."""
        found = asdict(Description(**{field.name: getattr(self, field.name) for field in fields(Description)}))
        return {key: value for key, value in found.items() if key != "name"}


@dataclass(frozen=True, kw_only=True)
class Measure(Description):
    """A metric that can be computed.

    Attributes:
        value: a pure function of (predicted, true), (N,) float64 arrays; with `needs_deviation` of (predicted, true,
            deviation).
        draws: the same of many test sets at once: (drawn, whole) -> (...,), where `drawn` has (..., N) arrays and
            `whole` is the test set that they were drawn from, (N,). None: `value` of one after the other.
        counted: what `draws` says of runs on the same videos, from how often each video is drawn: (runs, counts) ->
            (runs, ...), counts (..., N) integers. An interval asks for it where it is there: nothing is gathered or
            sorted anew.
        exchanged: what the paired test exchanges between two runs: predictions, or their ranks where the metric does
            not change when a run is rescaled.
        needs_deviation: whether it is of the predicted standard deviations; a method without them leaves it undefined.
        reason: why it is undefined of a test set, as the end of a sentence; None where it is defined.
    """

    value: Callable[..., float]
    draws: Callable[[Scores, Scores], np.ndarray] | None = None
    counted: Callable[[Sequence[Scores], np.ndarray], np.ndarray] | None = None
    exchanged: Literal["predictions", "ranks"] = "predictions"
    needs_deviation: bool = False
    reason: Callable[[Scores], str | None] = lambda scores: None  # noqa: ARG005

    def why_undefined(self, scores: Scores) -> str | None:
        """As the end of a sentence; None where `of` is a number."""
        if len(scores.true) == 0:
            return "there is no video"
        if self.needs_deviation and (scores.deviation is None or np.isnan(scores.deviation).all()):
            return "the method predicts no standard deviations"
        return self.reason(scores)

    def of(self, scores: Scores) -> float:
        """The metric of one test set; NaN, with a warning, where it is undefined."""
        reason = self.why_undefined(scores)
        if reason:
            warnings.warn(f"{self.title} is undefined: {reason}", stacklevel=2)
            return math.nan
        return self._one(scores)

    def of_draws(self, drawn: Scores, whole: Scores) -> np.ndarray:
        """The metric of (..., N) draws from `whole`: (...,). NaN where it is undefined of the whole.

        Without `draws` a correlation that is undefined of a draw is 0: it has no order. Any other is NaN.
        """
        if self.why_undefined(whole):
            return np.full(drawn.predicted.shape[:-1], np.nan)
        if self.draws is not None:
            return np.asarray(self.draws(drawn, whole), dtype=np.float64)
        shape = np.broadcast_shapes(drawn.predicted.shape, drawn.true.shape)
        columns = [
            None if column is None else np.broadcast_to(column, shape).reshape(-1, shape[-1]) for column in drawn
        ]
        rows = zip(*([None] * math.prod(shape[:-1]) if column is None else column for column in columns), strict=True)
        undefined = 0.0 if self.average == "fisher" else math.nan
        found = [undefined if self.why_undefined(one) else self._one(one) for one in (Scores(*row) for row in rows)]
        return np.array(found, dtype=np.float64).reshape(shape[:-1])

    def of_counts(self, runs: Sequence[Scores], counts: np.ndarray) -> np.ndarray:
        """`of_draws` of each run by `counted`, which is there: (runs, ...)."""
        assert self.counted is not None
        found = np.full((len(runs), *counts.shape[:-1]), np.nan)
        defined = [number for number, run in enumerate(runs) if not self.why_undefined(run)]
        if defined:
            found[defined] = self.counted([runs[number] for number in defined], counts)
        return found

    def _one(self, scores: Scores) -> float:
        given = scores if self.needs_deviation else scores[:2]
        return float(self.value(*given))
