"""A real dive as a data set, the drawing page as the real program serves it, and a real browser."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).parents[2]
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--window-size=1366,768",
)  # fmt: skip


class Served(NamedTuple):
    """A running `python -m src.boxes draw`."""

    process: "subprocess.Popen[str]"
    url: str


Serve = Callable[..., Served]


@pytest.fixture(scope="session")
def dive_root(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real dive and three other real videos as `data=videos`."""
    root = tmp_path_factory.mktemp("dive")
    rows = ["video,score,split"]
    names = {"dive": "diving_sample.gif", "arms": "arm_wrestling.mp4", "pencil": "action.avi"}
    for score, (name, file) in enumerate(names.items(), 50):
        copy = root / f"{name}{Path(file).suffix}"
        shutil.copyfile(real_data / "video" / file, copy)
        rows.append(f"{copy.name},{score},{'test' if name == 'pencil' else 'train'}")
    (root / "videos.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Overrides for ten demo videos."""
    return [f"data.settings.{split}={count}" for split, count in (("train", 6), ("test", 2), ("shifted", 2))]


@pytest.fixture
def environment(demo_cache: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("AQA7_ROOT", "MTL_AQA_ROOT")}
    return kept | {"SWAPAQA_CACHE": str(demo_cache), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def command(environment: dict[str, str]) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`command("make", "data=videos", ...)`: `python -m src.boxes` in a process of its own."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "src.boxes", *words],
            cwd=REPOSITORY,
            env=environment | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


@pytest.fixture
def serve(environment: dict[str, str]) -> Iterator[Serve]:
    """`serve("data=videos", ...)`: the page, until the end of the test."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> Served:
        arguments = [sys.executable, "-m", "src.boxes", "draw", "--no-browser", *words]
        process = subprocess.Popen(arguments, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("open "):
                return Served(process, line.split()[1])
        raise AssertionError(f"no address; exit status {process.wait()}")

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Headless Chromium on a laptop's screen, driven by its own driver."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (pip install selenium)")
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    found = webdriver.Chrome(options=options, service=Service(driver))
    yield found
    found.quit()
