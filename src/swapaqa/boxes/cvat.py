"""Boxes that CVAT exports (app.cvat.ai, any system): "CVAT for video 1.1" and "MOT 1.1"."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swapaqa.boxes.cvat_xml import Choice, read_cvat
from swapaqa.boxes.mot import read_mot
from swapaqa.boxes.tracks import BoxFile, BoxFiles

__all__ = ["CVATBoxes", "MOTBoxes", "read_cvat", "read_mot"]


@dataclass(frozen=True)
class CVATBoxes(BoxFiles):
    """Boxes drawn with CVAT: `<index>.xml` of "CVAT for video 1.1", `<index>/annotations.xml`, or `<index>.zip`."""

    def candidates(self, file: Path) -> list[Path]:
        return [file.parent / f"{file.name}.xml", file / "annotations.xml", file.parent / f"{file.name}.zip"]

    def parse(self, path: Path, size: tuple[int, int], video: Sequence[str]) -> BoxFile:  # noqa: ARG002  no shares
        return read_cvat(path, Choice(self.ids, self.labels, video))


@dataclass(frozen=True)
class MOTBoxes(BoxFiles):
    """Boxes in a MOT file: `<index>.txt`, `<index>.csv`, `<index>/gt/gt.txt` as CVAT's archive unpacks, or that zip."""

    def candidates(self, file: Path) -> list[Path]:
        beside = [file.parent / f"{file.name}{suffix}" for suffix in (".txt", ".csv")]
        return [*beside, file / "gt" / "gt.txt", file.parent / f"{file.name}.zip"]

    def parse(self, path: Path, size: tuple[int, int], video: Sequence[str]) -> BoxFile:  # noqa: ARG002  no shares
        return read_mot(path)
