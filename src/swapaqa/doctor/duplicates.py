"""Test videos that show what a training video shows."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from scipy.spatial import KDTree

from swapaqa.doctor.problem import Finding, Problem

SAME_CONTENT = 12  # grey levels: copies in another codec or size differ by up to 6, other videos by 80 and more
LOOKED_AT_FIRST = 16  # of the training videos that may be the same


def thumbnails(frames: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) uint8 -> (16, 16, 16, 3) uint8: 16 frames evenly spread, as pictures of 16x16 pixels."""
    chosen = np.linspace(0, len(frames) - 1, 16).round().astype(int)
    return np.stack([cv2.resize(frames[i], (16, 16), interpolation=cv2.INTER_AREA) for i in chosen])


def duplicates(findings: Sequence[Finding]) -> list[Problem]:
    """Videos of a test split with the content of a training video, in whatever codec or size.

    A training can run with them; its test numbers would then be partly of videos that it has seen.
    """
    train = [found for found in findings if found.record.split == "train" and found.picture is not None]
    if not train:
        return []
    twins = Twins(np.stack([found.picture for found in train if found.picture is not None]))
    problems = []
    for found in findings:
        if found.record.split != "train" and found.picture is not None:
            position = twins.of(found.picture)
            if position is not None:
                record, twin = found.record, train[position].record.video_id
                message = f"{record.video_id} of {record.split} shows what {twin} of train shows; take one of them out"
                problems.append(Problem("duplicate", record.split, record.video_id, message, blocks=False))
    return problems


class Twins:
    """Finds the one of `pictures`, (N, 16, 16, 16, 3) uint8, that shows the same, without looking at all of them.

    No mean of pixels differs by more than the pixels do, so that of the pictures whose `outlines` are near one is the
    same or none is.
    """

    def __init__(self, pictures: np.ndarray) -> None:
        self.pictures = pictures
        self.tree = KDTree(np.stack([outline(picture) for picture in pictures]))

    def of(self, picture: np.ndarray) -> int | None:
        """The position of a picture that differs by at most `SAME_CONTENT` anywhere; None where there is none."""
        for near in self._near(outline(picture)):
            distance = np.abs(self.pictures[near].astype(np.int16) - picture).max(axis=(1, 2, 3, 4), initial=0)
            if len(near) and distance.min() <= SAME_CONTENT:
                return int(near[distance.argmin()])
        return None

    def _near(self, own: np.ndarray) -> Iterator[np.ndarray]:
        """Positions of pictures with near outlines: the nearest, then, if need be, all of them."""
        most = SAME_CONTENT + 1e-3  # means are rounded
        _, nearest = self.tree.query(own, k=LOOKED_AT_FIRST, p=np.inf, distance_upper_bound=most)
        nearest = nearest[nearest < len(self.pictures)]
        yield nearest
        if len(nearest) == LOOKED_AT_FIRST:
            yield np.array(self.tree.query_ball_point(own, most, p=np.inf), dtype=int)


def outline(picture: np.ndarray) -> np.ndarray:
    """(16, 16, 16, 3) -> (16,): the mean grey of every quarter of four of the frames."""
    quarters = picture[::5].reshape(4, 2, 8, 2, 8, 3)
    means: np.ndarray = quarters.mean(axis=(2, 4, 5), dtype=np.float64).ravel()
    return means
