"""The page: self-contained, complete, escaped; and, where Chromium is installed, as a browser shows it."""

import base64
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from swapaqa.errors import InputError
from swapaqa.report.cases import Shown
from swapaqa.report.contents import read_report, write_report
from swapaqa.report.page_jobs import several
from swapaqa.report.page_pictures import as_strip

FAILURE = 'error: data.root=<script>alert("x")</script>: no such folder & no way out'
MADE: list[Path] = []  # the fixture that writes sweeps is one of a single test, and drawing takes seconds
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """What a page holds: tags with their attributes, the text outside of scripts and styles, tables as rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def attributes(self, tag: str, name: str) -> list[str]:
        return [value for found, attributes in self.tags if found == tag and (value := attributes.get(name))]


def no_data(_: Mapping[str, Any]) -> Shown:
    raise InputError("data.root is not set & nothing is there")


@pytest.fixture
def folder(sweep_folder: Callable[..., Path], make_job: Any) -> Path:
    """A report on a sweep of four ratios: two done, one failed, one not started; with one strip. Made once."""
    if MADE:
        return MADE[0]
    jobs = [
        make_job(["aug.ratio=1.0"], {"diving": (0.71, 2.5)}, ratio=1.0),
        make_job(["aug.ratio=2.0"], {"diving": (0.82, 1.5)}, ratio=2.0),
        make_job(["aug.ratio=2.5"], ratio=2.5, failure=FAILURE),
        make_job(["aug.ratio=3.0"], ratio=3.0, started=False),
    ]
    sweep = sweep_folder("ratio & more", jobs)
    cv2.imwrite(str(sweep / "0" / "swap.png"), np.full((40, 2400, 3), 90, np.uint8))
    out = sweep / "report"
    out.mkdir()
    written = write_report(read_report([sweep]), out, no_data)
    assert all(path.is_file() for path in written)
    MADE.append(out)
    return out


@pytest.fixture
def page(folder: Path) -> Page:
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def test_figures_drawn_in_processes_are_those_of_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swapaqa.report.page.WORTH_PROCESSES", 1)
    monkeypatch.setattr("swapaqa.report.page.cores", lambda: 2)
    write_report(read_report([folder.parent]), tmp_path, no_data)
    names = sorted(path.name for path in (folder / "figures").glob("*.png"))
    assert len(names) > 1
    for name in names:
        assert (tmp_path / "figures" / name).read_bytes() == (folder / "figures" / name).read_bytes()


def test_nothing_is_fetched(folder: Path, page: Page) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:https?:)?//[\w.]+\.\w", re.sub(r"base64,[\w+/=]+", "", text))
    assert page.attributes("img", "src")
    assert all(source.startswith("data:image/") for source in page.attributes("img", "src"))
    assert page.attributes("link", "href") == ["data:,"]
    assert not page.attributes("script", "src")
    assert "url(" not in text
    assert "default-src 'none'" in page.attributes("meta", "content")[1]


def test_pictures_are_whole(page: Page) -> None:
    for source in page.attributes("img", "src"):
        content = base64.b64decode(source.partition("base64,")[2], validate=True)
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert min(picture.shape[:2]) > 10
    assert len(page.attributes("img", "alt")) == len(page.attributes("img", "src"))


def test_every_link_leads_somewhere(folder: Path, page: Page) -> None:
    anchors = {identifier for _, attributes in page.tags if (identifier := attributes.get("id"))}
    links = page.attributes("a", "href")
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    files = [link for link in links if not link.startswith("#")]
    assert {"../0", "../1", "../2"} <= set(files)
    assert "../3" not in files  # not started: there is no folder
    assert all((folder / link).exists() for link in files)


def test_anchors_are_unique(page: Page) -> None:
    anchors = [identifier for _, attributes in page.tags if (identifier := attributes.get("id"))]
    assert len(anchors) == len(set(anchors))
    assert not [anchor for anchor in anchors if re.search(r"\s", anchor)]


def test_missing_jobs_are_there_with_their_reasons(page: Page) -> None:
    assert "Jobs without a result (2)" in page.text
    assert "failed: ratio & more job 2 (aug.ratio=2.5)" in page.text
    assert FAILURE in page.text
    assert "not started: ratio & more job 3 (aug.ratio=3.0)" in page.text
    rows = {row[1]: row for row in page.rows if row and row[0] == "ratio & more"}
    assert rows["2"][2] == "failed"
    assert rows["2"][4:] == ["-"] * 6
    assert rows["3"][2] == "not started"
    assert rows["3"][4:] == ["-"] * 6


def test_text_is_escaped(folder: Path, page: Page) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert len(page.attributes("script", "src")) == 0
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "ratio &amp; more" in text


def test_every_run_has_its_numbers_under_each_protocol(page: Page) -> None:
    rows = {row[1]: row for row in page.rows if len(row) > 3 and row[0] == "ratio & more"}
    assert rows["0"][2:] == ["done", "aug.ratio=1.0", "0.7200", "2.40", "0.7100", "2.50", "40.0", "1.0"]
    assert rows["1"][4:8] == ["0.8300", "1.40", "0.8200", "1.50"]
    [head] = [row for row in page.rows if row[:3] == ["sweep", "job", "state"]]
    assert head[4:8] == [
        "Spearman's ρbest_on_test", "R-ℓ2 ×100best_on_test", "Spearman's ρlast", "R-ℓ2 ×100last",
    ]  # fmt: skip


def test_the_tables_are_all_there(folder: Path, page: Page) -> None:
    tables = read_report([folder.parent]).tables
    assert tables
    for table in tables:
        assert " ".join(table.caption.split()) in page.text
        assert list(table.columns) in page.rows


def test_what_was_run_is_said(page: Page) -> None:
    facts = {row[0]: row[1] for row in page.rows if len(row) == 2}
    assert "2 done, 1 failed, 1 not started" in facts["ratio & more"]
    assert "python -m src.train --multirun +sweeps=ratio & more" in facts["ratio & more"]
    assert facts["device"] == "cpu x 1"
    assert facts["commit"] == "not known"  # the fake runs have none
    assert "Protocol last: last epoch." in page.text
    assert "Protocol best_on_test: best epoch on test" in page.text


def test_figures_are_shown_under_every_protocol_and_lie_beside_the_page(folder: Path, page: Page) -> None:
    names = {path.name for path in (folder / "figures").iterdir()}
    for protocol in ("last", "best_on_test"):
        assert {f"ratio_curves_aqa7_core_darklabel_{protocol}.{kind}" for kind in ("png", "pdf")} <= names
    shown = (folder / "figures" / "ratio_curves_aqa7_core_darklabel_last.png").read_bytes()
    assert f"data:image/png;base64,{base64.b64encode(shown).decode()}" in page.attributes("img", "src")


def test_without_the_videos_their_numbers_and_the_reason_are_shown(page: Page) -> None:
    assert "No pictures: data.root is not set & nothing is there" in page.text
    assert ["diving/001", "diving", "rank 1 of 3 by gain", "30.00", "32.00", "2.00", "32.00", "2.00"] in page.rows


def test_a_strip_is_made_small(page: Page, tmp_path: Path) -> None:
    [source] = [source for source in page.attributes("img", "src") if source.startswith("data:image/jpeg")]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[:2] == (20, 1200)
    (tmp_path / "broken.png").write_text("no picture")
    assert as_strip("a", tmp_path / "broken.png").source == ""


def test_a_single_run_without_a_sweep(sweep_folder: Callable[..., Path], make_job: Any, tmp_path: Path) -> None:
    report = read_report([sweep_folder("one", [make_job([], {"diving": (None, 1.0)})], plan=False) / "0"])
    write_report(report, tmp_path, no_data)
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert "the command is not known" in page.text
    assert "undefined" in page.text
    assert "Jobs without a result" not in page.text
    assert "core + swap, darklabel, ratio 2, on aqa7, diving, seed 0" in page.text
    assert "test: Spearman's ρ undefined, R-ℓ2 ×100 1.00 (3 videos; last epoch)" in page.text
    assert "3 test videos of diving carry no number" in page.text
    assert {"figures/scatter_last.png", "figures/scatter_last.pdf"} <= set(page.attributes("a", "href"))
    assert ["diving/003", "test", "diving", "44.00", "45.00", "1.00"] in page.rows  # the videos, by error


def test_different_values_are_all_said() -> None:
    assert several(["a", None, "a", "b"]) == "a; not known; b"
    assert several([]) == "not known"


PROBE = """<script>addEventListener("load", () => {
  const images = [...document.images];
  document.querySelectorAll("details").forEach(one => { one.open = true; });
  const runs = [...document.querySelectorAll("table.sortable")].at(-1);
  const column = () => [...runs.tBodies[0].rows].map(row => row.cells[4].textContent).join(" ");
  runs.tHead.rows[0].cells[4].click();
  const up = column();
  runs.tHead.rows[0].cells[4].click();
  document.body.dataset.probe = JSON.stringify({
    broken: images.filter(one => !one.complete || one.naturalWidth === 0 || one.clientWidth === 0).length,
    images: images.length, wide: document.documentElement.scrollWidth > innerWidth, up: up, down: column(),
  }).replaceAll('"', "'");
});</script>"""


@pytest.mark.browser
def test_a_browser_shows_it(folder: Path, tmp_path: Path) -> None:
    """Chromium as Debian packages it: pictures have a size, the page fits, tables sort, the console is silent."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    copy = tmp_path / "probed.html"
    text = (folder / "index.html").read_text(encoding="utf-8")
    copy.write_text(text.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        *quiet,
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    options = ["--window-size=1280,900", "--virtual-time-budget=4000", "--enable-logging=stderr", "--dump-dom"]
    shown = subprocess.run(
        [*command, *options, copy.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )  # fmt: skip
    said = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    assert said == []
    found = re.search(r'data-probe="([^"]*)"', shown.stdout)
    assert found is not None, shown.stderr
    probe = found.group(1)
    assert "'broken':0," in probe
    assert f"'images':{text.count('<img ')}," in probe
    assert "'wide':false" in probe
    assert "'up':'0.7200 0.8300 - -'" in probe
    assert "'down':'0.8300 0.7200 - -'" in probe


def test_of_many_jobs_that_were_not_started_a_list_of_cells_shows_the_number_first(
    sweep_folder: Callable[..., Path], make_job: Any, tmp_path: Path
) -> None:
    done = [make_job(["seed=0", "aug=swap", f"aug.ratio={r}"], {"diving": (0.5, 1.0)}, ratio=r) for r in (1.0, 2.0)]
    waiting = [make_job(["seed=0", "aug=none", f"data.x={x}"], None, started=False) for x in range(11)]
    failed = make_job(["seed=0", "aug=swap", "aug.ratio=3"], None, ratio=3.0, failure="no memory")
    write_report(read_report([sweep_folder("cells", [*done, *waiting, failed])]), tmp_path, no_data)
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<details><summary>11 not started</summary>" in html
    assert html.index("no memory") < html.index("<summary>11 not started")
    text = Page(html).text
    assert "(aug=none, data.x=3)" in text  # and no aug.ratio, which it does not have
    assert "Fig. 8" not in text  # the cells differ in more than the ratio
