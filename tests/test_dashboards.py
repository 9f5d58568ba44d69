"""The wandb dashboard as data and as objects of wandb-workspaces, and the upload of offline runs, without a network."""

import http.server
import importlib.util
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from swapaqa.dashboards import outline, server
from swapaqa.dashboards.outline import Dashboard
from swapaqa.errors import InputError
from swapaqa.recording import logged

ACTIONS = ("diving", "gym_vault")
SWEEPS = Path(__file__).parents[1] / "sweeps"

needs_workspaces = pytest.mark.skipif(
    importlib.util.find_spec("wandb_workspaces") is None, reason="wandb-workspaces is not installed"
)


@pytest.fixture(scope="module")
def boards() -> tuple[Dashboard, ...]:
    return outline.build(ACTIONS)


def summary_names() -> set[str]:
    """What a finished run puts into its summary, from the function that names it."""
    numbers = {"spearman": 0.5, "relative_l2_x100": 1.0}
    split = {"average": numbers, "per_action": dict.fromkeys(ACTIONS, numbers)}
    metrics = {protocol: {"epoch": 1, "splits": {"test": split}} for protocol in ("last", "best_on_test")}
    return set(logged.summary_numbers({"metrics": metrics}))


# as data


def test_every_column_of_an_outcome_is_one_that_a_run_logs(boards: tuple[Dashboard, ...]) -> None:
    shown = {
        name.removeprefix("summary:")
        for board in boards
        for section in board.sections
        for name in [*section.columns, *(name for panel in section.panels for name in panel.shown)]
        if name.startswith("summary:")
    }
    assert len(shown) == 4 * (1 + len(ACTIONS))
    assert shown <= summary_names()


def test_the_report_has_the_ratio_the_box_sources_plug_and_play_and_the_table(boards: tuple[Dashboard, ...]) -> None:
    (report,) = [board for board in boards if board.kind == "report"]
    ratio, boxes, plug, table = report.sections
    assert [section.group for section in report.sections] == ["ratio", "box_source", "plug_and_play", None]
    assert {panel.over for panel in ratio.panels} == {"config:swept/aug/ratio"}
    assert len(ratio.panels) == 2 * 2 * len(ACTIONS)  # protocols, metrics
    for section in (boxes, plug):
        assert {panel.kind for panel in section.panels} == {"bars"}
        assert {panel.by for panel in section.panels} == {"config:swept/setting"}
    assert not table.panels
    assert "run:state" in table.columns


def test_no_outcome_is_shown_without_its_protocol(boards: tuple[Dashboard, ...]) -> None:
    for board in boards:
        for panel in (panel for section in board.sections for panel in section.panels):
            if panel.shown[0].startswith("summary:"):
                protocol = panel.shown[0].removeprefix("summary:").partition("/")[0]
                assert outline.PROTOCOLS[protocol] in panel.title


def test_each_sweep_has_a_workspace_of_its_own_runs(boards: tuple[Dashboard, ...]) -> None:
    groups = [board.group for board in boards if board.kind == "workspace"]
    assert groups == [None, "ratio", "box_source", "plug_and_play"]


def test_the_sweeps_that_the_dashboard_shows_exist_and_have_settings() -> None:
    for group in ("ratio", *(sweep.group for sweep in outline.BAR_SWEEPS)):
        sweep = yaml.safe_load((SWEEPS / f"{group}.yaml").read_text())
        assert sweep["sweep"] == group
        first = {key.lstrip("+"): str(v).split(",")[0] for key, v in sweep["hydra"]["sweeper"]["params"].items()}
        columns = logged.swept_columns(first)
        assert logged.SETTING in columns
        assert group != "ratio" or columns["swept/aug/ratio"] == 1.0


def test_the_outline_names_every_panel(boards: tuple[Dashboard, ...]) -> None:
    for board in boards:
        lines = "\n".join(outline.outline(board))
        assert all(panel.title in lines for section in board.sections for panel in section.panels)


# as objects of the library


def as_json(thing: Any) -> dict[str, Any]:
    return json.loads(thing._to_model().model_dump_json(by_alias=True, exclude_none=True))


@needs_workspaces
def test_a_workspace_can_be_built_without_a_network(boards: tuple[Dashboard, ...]) -> None:
    from swapaqa.dashboards import workspace

    board = next(board for board in boards if board.group == "box_source")
    section = as_json(workspace.workspace(board, "aqa", "me"))["spec"]["section"]
    (runs,) = section["runSets"]
    assert {"section": "run", "name": "group"} in [item["key"] for item in runs["filters"]["filters"]]
    assert runs["runFeed"]["columnPinned"]["config:swept/setting.value"]
    assert runs["runFeed"]["columnPinned"]["summary:best_on_test/test/spearman"]
    bars = section["panelBankConfig"]["sections"][0]["panels"]
    assert bars[0]["config"]["metrics"] == ["best_on_test/test/spearman"]
    assert bars[0]["config"]["groupBy"] == "swept/setting.value"


@needs_workspaces
def test_a_report_can_be_built_without_a_network(
    boards: tuple[Dashboard, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wandb_workspaces.reports.v2 import interface

    from swapaqa.dashboards import workspace

    found = {"project": {"internalId": "1"}}
    monkeypatch.setattr(interface, "execute_graphql", lambda *_: found)  # a set of runs asks for its project's number
    monkeypatch.setattr(interface, "_get_api", lambda: None)
    board = next(board for board in boards if board.kind == "report")
    blocks = as_json(workspace.report(board, "aqa", "me"))["spec"]["blocks"]
    grids = [block["metadata"] for block in blocks if block["type"] == "panel-grid"]
    assert [grid["runSets"][0]["filters"]["filters"][:1] for grid in grids][-1] == []
    ratio = grids[0]
    assert ratio["runSets"][0]["filters"]["filters"][0]["value"] == "ratio"
    panels = ratio["panelBankSectionConfig"]["panels"]
    assert panels[0]["config"]["xAxis"] == "config:swept/aug/ratio.value"
    assert panels[0]["config"]["yAxis"] == "summary:best_on_test/test/spearman/diving"
    places = [(panel["layout"]["x"], panel["layout"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels)
    assert "config:swept/aug/ratio.value" in ratio["runSets"][0]["runFeed"]["columnVisible"]


@needs_workspaces
def test_every_panel_becomes_an_object(boards: tuple[Dashboard, ...]) -> None:
    from swapaqa.dashboards import workspace

    for board in boards:
        for section in board.sections:
            assert len([as_json(panel) for panel in workspace.panels(section)]) == len(section.panels)


# the two commands


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A person without a key, and a server that does not answer."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")


@pytest.mark.usefixtures("nobody")
def test_without_a_key_the_dashboard_is_described() -> None:
    lines = server.make_dashboard("aqa")
    assert "no wandb key" in lines[0] or "wandb-workspaces is missing" in lines[0]
    assert any("config:swept/aug/ratio" in line for line in lines)
    assert any(line.startswith("report: ") for line in lines)


@needs_workspaces
@pytest.mark.usefixtures("nobody")
def test_without_a_network_the_dashboard_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    first, *rest = server.make_dashboard("aqa", "me")
    assert "http://127.0.0.1:9 does not answer" in first
    assert "me/aqa" in first
    assert len(rest) > 20


def offline_runs(folder: Path) -> list[Path]:
    """Two jobs of a sweep; the first was continued once, its first part is uploaded."""
    names = {
        "0/wandb/offline-run-20260101_000000-aaa": "aaa",
        "0/wandb/offline-run-20260103_000000-aaa": "aaa",
        "1/wandb/offline-run-20260102_000000-bbb": "bbb",
    }
    for path, run in names.items():
        (folder / path).mkdir(parents=True)
        (folder / path / f"run-{run}.wandb").write_bytes(b"")
    first, *_ = paths = [folder / path for path in names]
    (first / "run-aaa.wandb.synced").touch()
    (folder / "1/wandb/latest-run").symlink_to(paths[2], target_is_directory=True)
    return paths


def test_the_runs_that_wait_are_found_at_any_depth_once_and_the_oldest_first(tmp_path: Path) -> None:
    _, continued, other = offline_runs(tmp_path / "outputs" / "ratio")
    found = server.unsynced([tmp_path / "outputs", tmp_path / "outputs" / "ratio"])
    assert found == [other.resolve(), continued.resolve()]
    with pytest.raises(InputError, match="no such folder"):
        server.unsynced([tmp_path / "elsewhere"])


@pytest.mark.usefixtures("nobody")
def test_without_a_network_nothing_is_uploaded_and_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline_runs(tmp_path / "ratio")
    with pytest.raises(InputError, match=r"2 offline runs wait.*no wandb key"):
        server.sync([tmp_path])
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    with pytest.raises(InputError, match=r"2 offline runs wait.*does not answer"):
        server.sync([tmp_path])


class Deaf(http.server.BaseHTTPRequestHandler):
    """A server that answers and does nothing."""

    def do_GET(self) -> None:
        self.send_error(404)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def deaf_server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Deaf) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("nobody")
def test_what_the_server_did_not_take_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf_server: str
) -> None:
    """The real `wandb sync`, which ends with 0."""
    monkeypatch.setenv("WANDB_BASE_URL", deaf_server)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    offline_runs(tmp_path / "ratio")
    lines, complete = server.sync([tmp_path])
    assert not complete
    assert lines[0] == "uploaded 0 of 2 offline runs"
    assert sum(line.startswith("not uploaded: ") for line in lines) == 2


def test_nothing_to_upload(tmp_path: Path) -> None:
    assert server.sync([tmp_path]) == (["no offline run waits to be uploaded"], True)
