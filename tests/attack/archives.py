"""Annotations as CVAT packs them, lists as other machines write them."""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from tests.attack import inputs
from tests.attack.damage import Edit
from tests.attack.strange import archive

PROJECT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><project><tasks>
    <task><id>7</id><name>002</name><size>12</size><start_frame>0</start_frame><stop_frame>11</stop_frame>
      <frame_filter></frame_filter><subset>Train</subset><source>002.avi</source>
      <original_size><width>64</width><height>48</height></original_size></task>
    <task><id>8</id><name>001</name><size>12</size><start_frame>0</start_frame><stop_frame>11</stop_frame>
      <frame_filter></frame_filter><subset>Train</subset><source>001.avi</source>
      <original_size><width>64</width><height>48</height></original_size></task>
  </tasks></project></meta>
  <track id="0" label="diver" task_id="7">
    <box frame="0" keyframe="1" outside="0" occluded="0" xtl="1" ytl="2" xbr="21" ybr="32"></box>
  </track>
  <track id="1" label="diver" task_id="8">
    <box frame="12" keyframe="1" outside="0" occluded="0" xtl="5" ytl="6" xbr="25" ybr="36"></box>
    <box frame="23" keyframe="1" outside="0" occluded="0" xtl="15" ytl="16" xbr="35" ybr="46"></box>
  </track>
</annotations>
"""


def members(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return {name: packed.read(name).decode("latin-1") for name in packed.namelist()}


def repacked(tree: Mapping[str, str]) -> bytes:
    return archive({name: text.encode("latin-1") for name, text in tree.items()})


zip_edit = Edit(members, repacked)


def writes(name: str, content: Callable[[], bytes]) -> Callable[[Path], None]:
    """A writer of one file."""
    return lambda folder: (folder / name).write_bytes(content()) and None


def cvat_video() -> bytes:
    return archive({"annotations.xml": inputs.CVAT})


def cvat_images() -> bytes:
    """With the frames beside the annotations, as CVAT exports on request."""
    coded = [cv2.imencode(".png", picture[..., ::-1])[1].tobytes() for picture in inputs.pictures()[:2]]
    frames = {f"images/frame_{number:06d}.png": content for number, content in enumerate(coded)}
    return archive(frames | {"annotations.xml": inputs.CVAT})


def cvat_project() -> bytes:
    return archive({"annotations.xml": PROJECT})


def mot() -> bytes:
    return archive({"gt/gt.txt": inputs.MOT, "gt/labels.txt": "diver\n"})


def big_endian(rows: np.ndarray, variable: str) -> bytes:
    """A MATLAB 5 file as big-endian machines write it."""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    parts = [
        element(6, struct.pack(">II", 6, 0)),  # flags: double
        element(5, struct.pack(">2i", *rows.shape)),
        element(1, variable.encode()),
        element(9, np.asarray(rows, ">f8").tobytes(order="F")),
    ]
    return b"MATLAB 5.0 MAT-file, Platform: SOL2".ljust(124) + b"\x01\x00MI" + element(14, b"".join(parts))


def write_big_endian_lists(folder: Path) -> None:
    (folder / "Split_4").mkdir()
    for split in ("train", "test"):
        content = big_endian(np.array(inputs.aqa7_rows(1.0, split)), f"consolidated_{split}_list")
        (folder / "Split_4" / f"split_4_{split}_list.mat").write_bytes(content)
