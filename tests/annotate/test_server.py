"""Who the drawing page's server answers: its own page with the token, and nobody else."""

import http.client
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import hydra
import numpy as np
import pytest
import torch

from swapaqa.annotate.desk import Desk, ForbiddenError, rows_of
from swapaqa.annotate.follow import Settings
from swapaqa.annotate.opened_video import decoded
from swapaqa.annotate.page_file import write_page
from swapaqa.annotate.server import SCRIPTS, PageServer
from swapaqa.augment.none import NoAugmentation
from swapaqa.augment.swap import swap_background
from swapaqa.boxes.detected import Detecting
from swapaqa.boxes.mask_images import MaskImages
from swapaqa.data.boxes import read_darklabel
from swapaqa.data.demo_files import write_masks
from swapaqa.data.geometry import Geometry
from swapaqa.errors import InputError
from swapaqa.programs.box_commands.drawing import swapped
from tests.opened import open_node

Open = Callable[..., Desk]
TEXT = "0,0,1,2,10,12,hand\n15,0,21.5,2,10,12,hand\n"


@pytest.fixture
def desk_of(config: Callable) -> Open:
    """`desk_of(root, boxes=folder)`: the desk of a tree of `aqa7_tree`."""

    def build(root: Path, boxes: Path | None = None, allowed: tuple[Path, ...] = ()) -> Desk:
        cfg = config("data=aqa7", "boxes=darklabel")
        source = hydra.utils.instantiate(cfg.boxes, root=None if boxes is None else str(boxes))
        data = open_node(
            cfg.data, root=str(root), frames=16, geometry=Geometry(40, 64, 32, random_crop=True, flip=0.5), voters=0,
            boxes=source, augment=NoAugmentation(), batch_size=4, workers=0, target="score",
        )  # fmt: skip
        return Desk(data.source, Settings("kcf", [], 0.4, 0.5), {}, allowed)

    return build


@pytest.fixture
def server(desk_of: Open, aqa7_tree: Callable[..., Path], tmp_path: Path) -> Iterator[PageServer]:
    found = PageServer(desk_of(aqa7_tree(), tmp_path / "drawn"))
    thread = threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def ask(server: PageServer, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    """Ask as our page does, but for the given headers; an empty one is left out."""
    host = f"127.0.0.1:{server.server_port}"
    sent = {"Host": host} | ({"Origin": f"http://{host}", "Content-Type": "application/json"} if body else {})
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.putrequest("POST" if body else "GET", path, skip_host=True)
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    for name, value in ({"Content-Length": str(len(content))} | sent).items():
        if value:
            connection.putheader(name, value)
    connection.endheaders(content)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_said_to_the_page(server: PageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_a_full_disk(prefix: str, dir: Path) -> tuple[int, str]:
        return os.open("/dev/full", os.O_WRONLY), str(Path(dir) / prefix)

    monkeypatch.setattr("swapaqa.annotate.box_file.mkstemp", on_a_full_disk)
    body = {"id": "diving/001", "text": TEXT, "digest": None}
    status, answer = ask(server, f"/{server.token}/save", body)
    assert status == 422
    words = "cannot be written or read (No space left on device)"
    assert json.loads(answer) == {"error": f"{tmp_path}/drawn/diving/001.txt: {words}"}


def test_it_listens_on_this_machine_only_and_its_address_is_random(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 32
    with PageServer(server.desk) as other:
        assert server.token != other.token


@pytest.mark.parametrize("name", ["", "page.css", *(f"{name}.js" for name in SCRIPTS)])
def test_the_page_is_served(server: PageServer, name: str) -> None:
    status, content = ask(server, f"/{server.token}/{name}")
    assert status == 200
    assert len(content) > 500


@pytest.mark.parametrize(
    "path",
    [
        "/", "/list", "/wrong/list", "/{token}/../list", "/{token}/../../etc/passwd", "/{token}//etc/passwd",
        "/{token}/..%2f..%2fetc%2fpasswd", "/{token}/%2e%2e/%2e%2e/etc/passwd", "/{token}/page/page.js",
        "/{token}/server.py", "/{token}/video?id=../../etc/passwd", "/{token}/video?id=/etc/passwd",
        "/{token}/frame?id=diving/001&n=16", "/{token}/frame?id=diving/001&n=-1", "/{token}/save", "{token}/list",
        "/{token}/frame?id=diving/001%00&n=0",
    ],
)  # fmt: skip
def test_hostile_paths_are_forbidden(server: PageServer, path: str) -> None:
    status, content = ask(server, path.replace("{token}", server.token))
    assert status == 403
    assert b"root:" not in content


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Host": ""}, {"Origin": "http://evil.example"},
        {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("route", ["", "list", "video?id=diving/001"])
def test_foreign_hosts_and_origins_are_forbidden(server: PageServer, headers: dict[str, str], route: str) -> None:
    assert ask(server, f"/{server.token}/{route}", **headers)[0] == 403


@pytest.mark.parametrize("headers", [{"Origin": ""}, {"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_nobody_else_writes(server: PageServer, headers: dict[str, str]) -> None:
    body = {"id": "diving/001", "text": TEXT, "digest": None}
    assert ask(server, f"/{server.token}/save", body, **headers)[0] == 403
    assert ask(server, "/wrong/save", body)[0] == 403
    assert not server.desk.folder.exists()


def test_boxes_are_saved_and_read_by_the_loader_and_not_over_an_unread_file(server: PageServer) -> None:
    route, path = f"/{server.token}/save", server.desk.folder / "diving" / "001.txt"
    status, content = ask(server, route, {"id": "diving/001", "text": TEXT, "digest": None})
    assert status == 200
    assert read_darklabel(path, [0, 15]).tolist() == [[1, 2, 10, 13], [21.5, 2, 30.5, 13]]
    saved = json.loads(content)
    assert saved["state"] == "hand"
    for unread in (None, "0" * 64):
        assert ask(server, route, {"id": "diving/001", "text": "0,0,5,5,5,5,x\n", "digest": unread})[0] == 409
    assert path.read_text() == TEXT
    status, content = ask(server, f"/{server.token}/video?id=diving/001")
    assert json.loads(content)["digest"] == saved["digest"]
    assert json.loads(content)["rows"][1] == {"frame": 15, "id": "0", "box": [21.5, 2, 30.5, 13], "label": "hand"}
    accepted = {"id": "diving/001", "digest": saved["digest"], "accepted": True}
    assert json.loads(ask(server, f"/{server.token}/accept", accepted)[1])["state"] == "accepted"
    assert ask(server, f"/{server.token}/accept", accepted | {"digest": None})[0] == 409
    assert ask(server, route, {"id": "diving/001", "text": "", "digest": saved["digest"]})[0] == 200
    assert not path.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": "diving/999", "text": TEXT, "digest": None}, 403),
        ({"id": "../../x", "text": TEXT, "digest": None}, 403),
        ({"id": "diving/001", "text": "nonsense\n", "digest": None}, 422),
        ({"id": "diving/001", "text": "0,0,5,5,-1,5,x\n", "digest": None}, 422),
        ({"id": "diving/001", "text": "0,0,5,5,5.123,5,x\n", "digest": None}, 422),
        ({"id": "diving/001", "text": 3, "digest": None}, 400),
        ({"id": "diving/001", "digest": None}, 400),
        (["diving/001"], 400),
        (b"no json", 400),
    ],
)
def test_what_is_not_boxes_is_not_written(server: PageServer, body: Any, status: int) -> None:
    assert ask(server, f"/{server.token}/save", body)[0] == status
    assert not list(server.desk.folder.rglob("*.txt"))


def test_a_form_of_another_page_is_no_json(server: PageServer) -> None:
    body = json.dumps({"id": "diving/001", "text": TEXT, "digest": None}).encode()
    assert ask(server, f"/{server.token}/save", body, Content_Type="text/plain")[0] == 400
    assert ask(server, f"/{server.token}/save", body, Content_Length="999999999")[0] == 400


def test_frames_are_pictures_one_at_a_time(server: PageServer) -> None:
    status, content = ask(server, f"/{server.token}/frame?id=diving/002&n=15")
    assert status == 200
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape == (40, 64, 3)
    assert list(server.desk.opened) == ["diving/002"]


def test_contact_sheets_are_served_with_links_and_no_other_file_is(
    desk_of: Open, aqa7_tree: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "diving.html").write_text('<a data-at="diving/001@3">x</a>')
    (tmp_path / "other.html").write_text("secret")
    desk = desk_of(aqa7_tree())
    assert desk.sheets == {}
    found = Desk(desk.source, desk.settings, {}, (), tmp_path)
    assert found.overview()["sheets"] == ["diving"]
    assert found.sheet("diving") == b'<a href="./#diving/001@3">x</a>'
    for action in ("other", "../diving", "gym_vault"):
        with pytest.raises(ForbiddenError):
            found.sheet(action)


def test_cuts_are_told_to_the_page(desk_of: Open, aqa7_tree: Callable[..., Path]) -> None:
    root = aqa7_tree()
    for path in sorted((root / "diving-out" / "002").iterdir())[:6]:  # another shot opens the video
        cv2.imwrite(str(path), np.random.default_rng(5).integers(120, 255, (40, 64, 3), dtype=np.uint8))
    desk = desk_of(root)
    assert desk.video("diving/002")["cuts"] == [6]
    assert desk.video("diving/001")["cuts"] == []


def test_without_keyframes_the_detector_proposes(desk_of: Open, aqa7_tree: Callable[..., Path]) -> None:
    given = desk_of(aqa7_tree())
    detecting = Detecting((), 3, (0,), 1)  # HOG, which sees nobody in a square
    desk = Desk(given.source, Settings("kcf", [], 0.4, 0.5, detecting), {})
    with pytest.raises(InputError, match="the detector finds nobody"):
        desk.propose("diving/002", {"0": {}})
    drawn = {"0": {0: [2.0, 13, 11, 22], 15: [52.0, 13, 61, 22]}}
    assert {row["label"] for row in desk.propose("diving/002", drawn)["rows"]} == {"kcf"}


@pytest.mark.parametrize("variant", ["paper", "official", "clean"])
def test_variants_are_those_of_the_training(variant: str, desk_of: Open, aqa7_tree: Callable[..., Path]) -> None:
    given = desk_of(aqa7_tree())
    desk = Desk(given.source, given.settings, {}, swap=swapped)
    assert variant in desk.overview()["variants"]
    boxes = [[2.0, 13, 11, 22], [32.0, 13, 41, 22]]
    picture = desk.preview([("diving/001", 0, boxes[0]), ("diving/002", 8, boxes[1])], 1.5, variant)
    geometry, frames = desk.source.geometry, []
    for video_id, at in (("diving/001", 0), ("diving/002", 8)):
        frame = cv2.imdecode(np.frombuffer(desk.frame(video_id, at), np.uint8), cv2.IMREAD_COLOR_RGB)
        assert frame is not None
        frames.append(geometry.crop_frames(frame[None], geometry.centre()))
    video = torch.from_numpy(np.stack(frames)).permute(0, 4, 1, 2, 3)
    placed = torch.from_numpy(
        np.stack([geometry.crop_boxes(np.array([b]), (40, 64), geometry.centre()) for b in boxes])
    )
    expected = swap_background(video, placed, torch.tensor([1, 0]), ratio=1.5, variant=variant)[0, :, 0]  # type: ignore[arg-type]
    found = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert found is not None
    assert np.abs(found.astype(int) - expected.permute(1, 2, 0).numpy()).mean() < 6  # but for the JPEG
    with pytest.raises(ForbiddenError):
        given.preview([("diving/001", 0, boxes[0]), ("diving/002", 8, boxes[1])], 1.5, variant)


def test_masks_are_laid_over_frames_and_swapped_by(
    desk_of: Open, aqa7_tree: Callable[..., Path], tmp_path: Path
) -> None:
    given = desk_of(aqa7_tree())
    masks = np.zeros((16, 40, 64), bool)
    masks[:, 13:23, 2:12] = True
    (tmp_path / "masks" / "diving").mkdir(parents=True)
    for index in (1, 2):
        write_masks(tmp_path / "masks" / "diving" / f"{index:03d}.json", masks)
    of_masks = given.source.with_boxes(MaskImages(1.0, str(tmp_path / "masks")))
    desk = Desk(given.source, given.settings, {}, swap=swapped, masks=of_masks)
    assert desk.overview()["masks"]
    assert desk.video("diving/003")["frames"] == list(range(16))  # it opens
    with pytest.raises(InputError, match="no such folder of masks"):
        desk.mask("diving/003", 0)
    laid = cv2.imdecode(np.frombuffer(desk.mask("diving/001", 0), np.uint8), cv2.IMREAD_UNCHANGED)
    assert laid is not None
    assert np.array_equal(laid[..., 3] > 0, masks[0])
    assert laid[15, 5, 3] < laid[13, 2, 3] == 255  # the outline is opaque
    picture = decoded(desk.preview([("diving/001", 0, [0] * 4), ("diving/002", 8, [0] * 4)], 1.0, "paper"))
    crop = desk.source.geometry.centre()
    own, donor = (
        desk.source.geometry.crop_frames(decoded(desk.frame(name, at))[None], crop)[0]
        for name, at in (("diving/001", 0), ("diving/002", 8))
    )
    kept = desk.source.geometry.crop_mask(masks[0], crop)[..., None]
    assert np.abs(picture.astype(int) - np.where(kept, own, donor)).mean() < 6  # but for the JPEG
    for asked in (lambda: desk.mask("diving/001", 16), lambda: given.mask("diving/001", 0)):
        with pytest.raises(ForbiddenError):
            asked()


def test_the_tracker_proposes_around_keyframes(server: PageServer) -> None:
    keyframes = {"0": [2, 13, 11, 22], "15": [52, 13, 61, 22]}
    body = {"id": "diving/002", "athletes": {"0": keyframes}}
    status, content = ask(server, f"/{server.token}/track", body)
    assert status == 200
    rows = json.loads(content)["rows"]
    assert rows
    assert all(0 < row["frame"] < 15 and row["label"] == "kcf" and row["id"] == "0" for row in rows)
    outside = {"id": "diving/002", "athletes": {"0": {"16": [2, 13, 11, 22]}}}
    assert ask(server, f"/{server.token}/track", outside)[0] == 403


def test_links_out_of_the_data_are_not_followed_unless_allowed(
    desk_of: Open, aqa7_tree: Callable[..., Path], tmp_path: Path
) -> None:
    root, elsewhere = aqa7_tree(), tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("001.avi", "002"):
        (root / "diving-out" / name).rename(elsewhere / name)
        (root / "diving-out" / name).symlink_to(elsewhere / name)
    (root / "boxes" / "diving" / "003.txt").unlink()
    (root / "boxes" / "diving" / "003.txt").symlink_to("/etc/hostname")
    desk = desk_of(root)
    for video_id in ("diving/001", "diving/002", "diving/003"):
        with pytest.raises(ForbiddenError, match=r"outside of the data's folder.*--allow"):
            desk.video(video_id)
    with pytest.raises(ForbiddenError):
        desk.save("diving/003", TEXT, None)
    allowed = desk_of(root, allowed=(elsewhere,))
    assert len(allowed.video("diving/001")["frames"]) == 16
    assert len(allowed.video("diving/002")["frames"]) == 16


def test_only_a_few_videos_are_kept_in_memory(desk_of: Open, aqa7_tree: Callable[..., Path]) -> None:
    desk = desk_of(aqa7_tree(train=6, test=2))
    for index in range(1, 9):
        desk.frame(f"diving/{index:03d}", 0)
    assert list(desk.opened) == [f"diving/{index:03d}" for index in range(5, 9)]
    assert [video["state"] for video in desk.overview()["videos"]] == ["hand"] * 8


def test_the_list_starts_with_the_worst_in_words_that_json_has(desk_of: Open, aqa7_tree: Callable[..., Path]) -> None:
    desk = desk_of(aqa7_tree(train=2, test=1))
    desk.severities = {"diving/001": 0.5, "diving/002": float("inf"), "diving/003": 2.0}
    videos = json.loads(json.dumps(desk.overview(), allow_nan=False))["videos"]
    assert [(video["id"], video["severity"]) for video in videos] == [
        ("diving/002", 1000), ("diving/003", 2), ("diving/001", 0.5)
    ]  # fmt: skip


def test_the_page_as_a_file_names_no_folder_and_ends_in_no_script(
    desk_of: Open, aqa7_tree: Callable[..., Path], tmp_path: Path
) -> None:
    root = aqa7_tree()
    (root / "boxes" / "diving" / "001.txt").write_text("0,0,1,2,10,12,</script><script>alert(1)//\n")
    write_page(desk_of(root), ["diving/001"], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert str(root) not in page
    assert "<script>alert" not in page
    assert 'src="' not in page
    with pytest.raises(InputError, match="--id diving/099"):
        write_page(desk_of(root), ["diving/099"], tmp_path / "page.html")


def test_an_athlete_without_a_box_is_not_written() -> None:
    """The loader would take such marks for an object that somebody called so."""
    gone = "4,1,10,20,30,40,outside\n"
    assert len(rows_of("0,0,1,2,5,5,hand\n" + gone.replace("4,1", "4,0"))) == 2
    for text in (gone, "0,0,1,2,5,5,hand\n" + gone):
        with pytest.raises(InputError, match="in a form that this project does not write"):
            rows_of(text)
