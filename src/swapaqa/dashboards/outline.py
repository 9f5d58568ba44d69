"""The wandb dashboard of a project as plain data: workspaces to look at runs, a report for the paper's questions.

Columns are written as wandb does: `config:swept/aug/ratio` for a configuration key, `run:state` for what wandb itself
knows, `summary:best_on_test/test/spearman` for the outcome of a run, and a bare name for a curve over the steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from swapaqa.command import spelled
from swapaqa.measures.ours import STANDARD
from swapaqa.recording.logged import SETTING, swept_column

Kind = Literal["curve", "points", "bars", "pictures"]
PROTOCOLS = {"best_on_test": "best epoch on test, as published", "last": "last epoch"}
METRICS = {measure.name: measure.title for measure in STANDARD}
RUN_COLUMNS = ("run:state", "config:name", "config:seed")


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        kind: `curve` over training steps, `points` a dot a run with their running mean, `bars` a bar a value of `by`,
            `pictures` logged media.
        shown: column on the y axis, or of the bars; names of the media.
        over: column on the x axis of `points`.
        by: column whose values get a bar each, the mean of their runs with the deviation.
    """

    kind: Kind
    title: str
    shown: tuple[str, ...]
    over: str | None = None
    by: str | None = None


@dataclass(frozen=True)
class Section:
    """Panels over the runs of one sweep (`group`), or over all runs, with the columns of their table."""

    title: str
    text: str
    panels: tuple[Panel, ...]
    group: str | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dashboard:
    """A workspace (its sections are rows of panels) or a report (its sections are chapters).

    `group`: a workspace over the runs of this sweep alone; a report's chapters have groups of their own.
    """

    kind: Literal["workspace", "report"]
    title: str
    sections: tuple[Section, ...]
    group: str | None = None


@dataclass(frozen=True)
class BarSweep:
    """A sweep that is shown with a bar for each of its settings, and what its chapter says."""

    group: str
    title: str
    text: str


BAR_SWEEPS = (
    BarSweep(
        "box_source",
        "Box sources",
        "After the paper's Table 3: where the boxes come from that the swap keeps. Mean and deviation over the runs "
        f"of a source, actions and seeds alike; the tables of `{spelled('report show')}` average by Fisher's z.",
    ),
    BarSweep(
        "plug_and_play",
        "Plug and play",
        "After the paper's Fig. 9: the swap under other methods, each as published and with the swap.",
    ),
)


RATES = tuple(f"lr-{kind}/{group}" for kind in ("Adam", "AdamW", "SGD") for group in ("head", "backbone"))


def build(actions: Sequence[str]) -> tuple[Dashboard, ...]:
    """A workspace for all runs and one for each sweep, and the report. `actions`: of the ratio sweep, a panel each."""
    chapters = (ratio_chapter(actions), *map(bar_chapter, BAR_SWEEPS))
    return (
        Dashboard("workspace", "swapaqa: all runs", (*training_sections(), run_table())),
        *(Dashboard("workspace", f"swapaqa: {c.title}", (c, *training_sections()), c.group) for c in chapters),
        Dashboard("report", "Scaled Background Swap", (*chapters, run_table())),
    )


def training_sections() -> tuple[Section, ...]:
    """What one looks at while runs are going on."""
    return (
        Section(
            "Training",
            "Loss and learning rates.",
            (
                Panel("curve", "loss, per step", ("train/loss_step",)),
                Panel("curve", "loss, mean of an epoch", ("train/loss_epoch",)),
                Panel("curve", "learning rates", RATES),
                Panel("curve", "share of pixels replaced", ("train/replaced_share",)),
            ),
        ),
        Section(
            "Test, every epoch",
            "Scores of the epoch at hand: to look at, not to print.",
            tuple(Panel("curve", f"{title}, test", (f"test/{metric}",)) for metric, title in METRICS.items()),
        ),
        Section(
            "Time",
            "Shares of the time of training steps, as the host sees it.",
            (
                Panel("curve", "share spent waiting for data", ("time/data_wait_share",)),
                Panel("curve", "seconds a step", ("time/step_mean_s",)),
            ),
        ),
        Section(
            "Pictures",
            "What the network was trained on, and predicted against true scores.",
            (Panel("pictures", "swap", ("swap",)), Panel("pictures", "scatter", ("scatter",))),
        ),
    )


def ratio_chapter(actions: Sequence[str]) -> Section:
    """Fig. 7: a panel an action and metric, the runs of the ratio sweep over their ratio."""
    ratio = f"config:{swept_column('aug.ratio')}"
    panels = tuple(
        Panel("points", f"{title}, {action}, {said}", (f"summary:{protocol}/test/{metric}/{action}",), over=ratio)
        for protocol, said in PROTOCOLS.items()
        for metric, title in METRICS.items()
        for action in actions
    )
    text = "After the paper's Fig. 7: scores over the ratio by which boxes are scaled. A dot is a run."
    columns = (*RUN_COLUMNS, ratio, f"config:{swept_column('data.action')}", *outcome_columns())
    return Section("Scale ratio", text, panels, "ratio", columns)


def bar_chapter(sweep: BarSweep) -> Section:
    """A bar a setting, a panel a metric and protocol."""
    setting = f"config:{SETTING}"
    panels = tuple(
        Panel("bars", f"{title}, {said}", (f"summary:{protocol}/test/{metric}",), by=setting)
        for protocol, said in PROTOCOLS.items()
        for metric, title in METRICS.items()
    )
    return Section(sweep.title, sweep.text, panels, sweep.group, (*RUN_COLUMNS, setting, *outcome_columns()))


def run_table() -> Section:
    """Every run of the project, failed ones too."""
    return Section("All runs", "Failed and unfinished runs are listed too.", (), None, RUN_COLUMNS + outcome_columns())


def outcome_columns() -> tuple[str, ...]:
    """The columns of a run's scores on `test`, by protocol and metric."""
    return tuple(f"summary:{protocol}/test/{metric}" for protocol in PROTOCOLS for metric in METRICS)


def outline(dashboard: Dashboard) -> Iterator[str]:
    """What would be created, a line each."""
    yield f"{dashboard.kind}: {dashboard.title}" + _of_group(dashboard.group)
    for section in dashboard.sections:
        yield f"  {section.title}" + ("" if dashboard.group else _of_group(section.group))
        for panel in section.panels:
            axis = f" over {panel.over}" if panel.over else f" by {panel.by}" if panel.by else ""
            yield f"    {panel.kind}: {panel.title}: {', '.join(panel.shown)}{axis}"
        if section.columns:
            yield f"    table: {', '.join(section.columns)}"


def _of_group(group: str | None) -> str:
    return f" (runs of group {group})" if group else ""
