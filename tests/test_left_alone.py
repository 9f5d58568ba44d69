"""Of several processes that end because of one, that one says why."""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from swapaqa.running import orphans, processes
from swapaqa.running.failures import LEFT_ALONE, failure_recorded, is_peer_failure
from swapaqa.running.interruption import STOPPED
from swapaqa.running.jobs import FAILURE_FILE

GLOO = "[../third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:4791"
NCCL = "NCCL error in: ProcessGroupNCCL.cpp:3690, remote process exited or there was a network error, ncclRemoteError"
KILLED = "the job's process was ended by SIGKILL (the system kills so when memory runs out)"


@pytest.mark.parametrize("words", [GLOO, NCCL])
def test_a_process_whose_peer_has_gone_has_nothing_to_say(
    words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(SystemExit) as left, failure_recorded(tmp_path):
        raise RuntimeError(words)
    assert left.value.code == LEFT_ALONE
    assert "another process of this run has ended" in caplog.text
    assert not (tmp_path / FAILURE_FILE).exists()


def test_a_process_that_fails_by_itself_says_so(tmp_path: Path) -> None:
    assert not is_peer_failure(ValueError(GLOO))
    with pytest.raises(RuntimeError), failure_recorded(tmp_path):
        raise RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")
    assert (tmp_path / FAILURE_FILE).read_text().startswith("RuntimeError: The size of tensor a")


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`agent(*statuses)`: processes that end with these, in the order in which the agent lists them."""

    def ends(*statuses: int) -> None:
        def launched(*_: Any) -> None:
            raise ChildFailedError("worker", {rank: SimpleNamespace(exitcode=one) for rank, one in enumerate(statuses)})

        monkeypatch.setattr(ChildFailedError, "format_msg", lambda *_: "")
        monkeypatch.setattr("torch.distributed.launcher.api.elastic_launch", lambda *_: launched)

    return ends


@pytest.mark.parametrize(
    ("statuses", "status", "line"),
    [
        ((LEFT_ALONE, -signal.SIGKILL), -signal.SIGKILL, KILLED),
        ((-signal.SIGKILL, LEFT_ALONE), -signal.SIGKILL, KILLED),
        ((LEFT_ALONE, 2), 2, "the job's process ended with status 2"),
        ((LEFT_ALONE, LEFT_ALONE), LEFT_ALONE, f"the job's process ended with status {LEFT_ALONE}"),
    ],
)
def test_an_agent_tells_of_the_one_that_ended_first(
    statuses: tuple[int, ...], status: int, line: str, agent: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agent(*statuses)
    with caplog.at_level(logging.ERROR):
        assert processes.run_group(tmp_path, len(statuses)) == status
    assert (tmp_path / FAILURE_FILE).read_text().splitlines()[0] == line
    assert (KILLED in caplog.text) == (status == -signal.SIGKILL)  # whoever ends by itself has said why


def test_an_agent_keeps_the_word_of_the_process_that_failed(agent: Any, tmp_path: Path) -> None:
    (tmp_path / FAILURE_FILE).write_text("boxes.root: no such folder\n")
    agent(LEFT_ALONE, 2)
    assert processes.run_group(tmp_path, 2) == 2
    assert (tmp_path / FAILURE_FILE).read_text() == "boxes.root: no such folder\n"
    agent(LEFT_ALONE, -signal.SIGTERM)
    assert processes.run_group(tmp_path, 2) == STOPPED


def test_an_agents_processes_know_their_parent_and_nobody_else_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: dict[str, str] = {}
    monkeypatch.setattr("torch.distributed.launcher.api.elastic_launch", lambda *_: lambda *_: seen.update(os.environ))
    monkeypatch.setenv(orphans.PARENT, "1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = dict(os.environ)
    assert processes.run_group(tmp_path, 2) == 0
    assert seen[orphans.PARENT] == str(os.getpid())
    assert "OMP_NUM_THREADS" in seen
    assert dict(os.environ) == before
