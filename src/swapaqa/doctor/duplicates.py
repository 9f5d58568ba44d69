"""Test videos that show what a training video shows."""

from collections.abc import Sequence

import cv2
import numpy as np

from swapaqa.doctor.problem import Finding, Problem

SAME_CONTENT = 12  # grey levels: copies in another codec or size differ by up to 6, other videos by 80 and more


def thumbnails(frames: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) uint8 -> (16, 16, 16, 3) int16: 16 frames evenly spread, as pictures of 16x16 pixels."""
    chosen = np.linspace(0, len(frames) - 1, 16).round().astype(int)
    small = [cv2.resize(frames[i], (16, 16), interpolation=cv2.INTER_AREA) for i in chosen]
    return np.stack(small).astype(np.int16)


def duplicates(findings: Sequence[Finding]) -> list[Problem]:
    """Videos of a test split with the content of a training video, in whatever codec or size.

    A training can run with them; its test numbers would then be partly of videos that it has seen.
    """
    train = [found for found in findings if found.record.split == "train" and found.picture is not None]
    if not train:
        return []
    pictures = np.stack([found.picture for found in train if found.picture is not None])  # (N, 16, 16, 16, 3)
    problems = []
    for found in findings:
        if found.record.split != "train" and found.picture is not None:
            distance = np.abs(pictures - found.picture).max(axis=(1, 2, 3, 4))
            if distance.min() <= SAME_CONTENT:
                record, twin = found.record, train[int(distance.argmin())].record.video_id
                message = f"{record.video_id} of {record.split} shows what {twin} of train shows; take one of them out"
                problems.append(Problem("duplicate", record.split, record.video_id, message, blocks=False))
    return problems
