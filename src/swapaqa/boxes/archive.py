"""Annotation files as they are, or inside of the zip that a program exported; nothing is unpacked onto the disk.

What an archive says of its sizes is not believed: reading ends at a limit.
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from swapaqa.errors import InputError
from swapaqa.files.foreign_file import check_regular, read_bytes

LARGEST = 256 * 2**20  # bytes of a file, unpacked: a project of a thousand videos in CVAT's XML has about 60 MB
MOST_LINES = 1_000_000  # a few bytes each are gigabytes once they are boxes; such a project has about half as many
MOST_MEMBERS = 200_000  # CVAT packs the images of a video beside its annotations
ANNOTATIONS = {"cvat": (".xml",), "mot": ("gt.txt",)}  # how members end, by format


def read_content(path: Path, endings: Sequence[str]) -> bytes:
    """The bytes of an annotation file, or of the one member of a zip that ends in one of `endings`.

    Raises:
        InputError: no regular file, one beyond LARGEST or MOST_LINES, a damaged archive, no such member or several.
    """
    packed = path.suffix.lower() == ".zip"
    content = _read_member(path, endings) if packed else read_bytes(path, LARGEST)
    lines = content.count(b"\n") + content.count(b"\r")
    if lines > 2 * MOST_LINES:  # \r\n counts twice
        raise InputError(f"{path}: has {lines} lines, and boxes have {MOST_LINES} at most; export one video alone")
    return content


def format_of_archive(path: Path) -> str:
    """`cvat` or `mot`, by the one annotation file in a zip. InputError for none or several."""
    forms = [form for form, endings in ANNOTATIONS.items() if _members(path, endings)]
    if len(forms) != 1:
        raise InputError(
            f"{path}: holds {'annotations.xml and gt.txt' if forms else 'neither annotations.xml of CVAT nor gt.txt'}; "
            "export 'CVAT for video 1.1' or 'MOT 1.1' again, or unpack it and name the file"
        )
    return forms[0]


def is_cvat_archive(path: Path) -> bool:
    """Whether it is a zip with CVAT's XML in it."""
    try:
        return path.suffix.lower() == ".zip" and format_of_archive(path) == "cvat"
    except InputError:
        return False


def _members(path: Path, endings: Sequence[str]) -> list[str]:
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: is not a readable zip ({str(error)[:80]}); export it again") from error
    if len(found) > MOST_MEMBERS:
        raise InputError(f"{path}: has {len(found)} members; export the annotations without the images")
    return [name for name in found if name.lower().endswith(tuple(endings)) and not _hidden(name)]


def _hidden(name: str) -> bool:
    """macOS packs a `__MACOSX/._annotations.xml` beside every file."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _read_member(path: Path, endings: Sequence[str]) -> bytes:
    names = _members(path, endings)
    if len(names) != 1:
        shown = f"{len(names)} of them ({', '.join(names[:3])})" if names else "none"
        raise InputError(
            f"{path}: one file {' or '.join(endings)} is looked for in it, and there is {shown}; unpack it and name it"
        )
    try:
        with zipfile.ZipFile(path) as archive, archive.open(names[0]) as member:
            content = member.read(LARGEST + 1)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path}: {names[0]} in it cannot be read ({str(error)[:80]}); export it again") from error
    if len(content) > LARGEST:
        raise InputError(f"{path}: {names[0]} unpacks to more than {LARGEST // 2**20} MiB; export one video alone")
    return content
