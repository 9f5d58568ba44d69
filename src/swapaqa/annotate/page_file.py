"""The drawing page as one HTML file for a few videos: their frames are in it, boxes are downloaded from it.

For people without this project or without the videos: the file can be sent, opened in any browser and drawn in; the
DarkLabel texts that come back are put in their place by `import`.
"""

import base64
import json
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2

from swapaqa.annotate.desk import Desk
from swapaqa.annotate.opened_video import decoded, jpeg
from swapaqa.annotate.server import SCRIPTS, asset
from swapaqa.errors import InputError
from swapaqa.files.whole_file import write_whole

LONG_SIDE = 640  # pixels: larger frames are made smaller in the file; boxes stay in pixels of the video


def write_page(desk: Desk, video_ids: Sequence[str], path: Path) -> None:
    """Write the page with these videos in it.

    Raises:
        InputError: a video that is not in the list, or as the decoder.
    """
    for video_id in video_ids:
        if video_id not in desk.listed:
            raise InputError(f"--id {video_id}: no such video; one is {next(iter(desk.listed))}")
    overview = desk.overview() | {"sheets": [], "variants": ["paper"], "masks": False}  # what needs the program
    overview["videos"] = [video for video in overview["videos"] if video["id"] in video_ids]
    content = {
        "key": sha256(str([video_ids, str(desk.source.folder)]).encode()).hexdigest()[:12],
        "overview": overview,
        "videos": {video_id: embedded_video(desk, video_id) for video_id in video_ids},
    }
    write_whole(path, one_file(json.dumps(content, allow_nan=False)))


def embedded_video(desk: Desk, video_id: str) -> dict[str, Any]:
    """What the page asks of a video, with its frames as data addresses."""
    pictures = [base64.b64encode(small(picture)).decode() for picture in desk.open(video_id).pictures]
    video = {key: value for key, value in desk.video(video_id).items() if key != "folder"}  # a path of this machine
    return video | {"pictures": [f"data:image/jpeg;base64,{picture}" for picture in pictures]}


def small(picture: bytes) -> bytes:
    """A JPEG of which the long side has at most LONG_SIDE pixels."""
    frame = decoded(picture)
    scale = LONG_SIDE / max(frame.shape[:2])
    return picture if scale >= 1 else jpeg(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def one_file(content: str) -> str:
    """The page with its style, its scripts and `content` (JSON) in it."""
    page = asset("page.html").decode()
    page = re.sub(r'<link rel="stylesheet"[^>]*>', lambda _: f"<style>{asset('page.css').decode()}</style>", page)
    page = re.sub(r"<script src=.*\n", "", page)
    safe = content.replace("<", "\\u003c")  # no text of a video may end the script
    scripts = [f"window.EMBEDDED = {safe};"]
    scripts += [asset(f"{name}.js").decode() for name in SCRIPTS]
    return page.replace("</body>", "".join(f"<script>{script}</script>\n" for script in scripts) + "</body>")
