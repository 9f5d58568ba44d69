"""Turns the dashboards of `swapaqa.dashboards.outline` into objects of the package wandb-workspaces."""

from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from swapaqa.dashboards.outline import Dashboard, Panel, Section

WIDTH, HEIGHT, COLUMNS = 8, 6, 3  # of a panel in a report, whose page is 24 wide


def save(dashboard: Dashboard, project: str, entity: str) -> str:
    """Create it on the server; return its address."""
    make = workspace if dashboard.kind == "workspace" else report
    made: Any = make(dashboard, project, entity)
    address: str = made.save().url
    return address


def workspace(dashboard: Dashboard, project: str, entity: str) -> ws.Workspace:
    """Nothing is sent before its `save`."""
    pinned = list(dict.fromkeys(backend_column(c) for section in dashboard.sections for c in section.columns))
    return ws.Workspace(
        entity=entity,
        project=project,
        name=dashboard.title,
        sections=[
            ws.Section(name=section.title, panels=panels(section), is_open=True)
            for section in dashboard.sections
            if section.panels
        ],
        runset_settings=ws.RunsetSettings(filters=of_group(dashboard.group), pinned_columns=pinned),
    )


def report(dashboard: Dashboard, project: str, entity: str) -> wr.Report:
    """Nothing is sent before its `save`."""
    blocks: list[Any] = [wr.TableOfContents()]
    for section in dashboard.sections:
        grid = wr.PanelGrid(runsets=[runset(section, project, entity)], panels=panels(section))
        blocks += [wr.H1(section.title), wr.P(section.text), grid]
    return wr.Report(project=project, entity=entity, title=dashboard.title, blocks=blocks, width="fluid")


def runset(section: Section, project: str, entity: str) -> wr.Runset:
    """The runs of a chapter, with their table: those columns alone."""
    return wr.Runset(
        entity=entity,
        project=project,
        name=section.group or "all runs",
        filters=of_group(section.group),
        visible_columns=["run:displayName", *map(backend_column, section.columns)],
        lock_columns=True,
    )


def of_group(group: str | None) -> Any:
    """A filter for the runs of a sweep; none for all runs."""
    return ws.And(ws.Metric("Group") == group) if group else ""


def panels(section: Section) -> list[Any]:
    """The section's panels, three beside each other."""
    return [
        panel_object(panel, wr.Layout(number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT, WIDTH, HEIGHT))
        for number, panel in enumerate(section.panels)
    ]


def panel_object(panel: Panel, layout: wr.Layout) -> Any:
    """A panel as wandb's library has it."""
    if panel.kind == "curve":
        return wr.LinePlot(title=panel.title, x="trainer/global_step", y=list(panel.shown), layout=layout)
    if panel.kind == "points":
        (shown,) = map(column, panel.shown)
        over = column(panel.over or "")
        return wr.ScatterPlot(title=panel.title, x=over, y=shown, running_ymean=True, layout=layout)
    if panel.kind == "bars":
        return wr.BarPlot(
            title=panel.title,
            metrics=[name.removeprefix("summary:") for name in panel.shown],
            groupby=column(panel.by or ""),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            layout=layout,
        )
    return wr.MediaBrowser(title=panel.title, media_keys=list(panel.shown), num_columns=1, layout=layout)


def column(name: str) -> Any:
    """`config:...` or `summary:...` as the object that a panel takes."""
    section, _, key = name.partition(":")
    return {"config": wr.Config, "summary": wr.SummaryMetric}[section](key)


def backend_column(name: str) -> str:
    """The same as a table takes it: a configuration's value has `.value` behind its first part."""
    section, _, key = name.partition(":")
    first, dot, rest = key.partition(".")
    return f"config:{first}.value{dot}{rest}" if section == "config" else name
