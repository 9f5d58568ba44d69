"""Whether a GIF is whole: it says neither how many frames it has nor how long it is, but its blocks end in a trailer.

Structure as in the GIF89a specification: header, screen with its colours, then blocks, each a chain of sub-blocks.
"""

from pathlib import Path

EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B  # what a block begins with


def is_whole(media: Path) -> bool:
    """Whether the blocks of a GIF lead to its trailer. Bytes behind that are none of it."""
    content = media.read_bytes()
    try:
        position = 13 + _colours(content[10])
        while content[position] in (EXTENSION, IMAGE):
            if content[position] == IMAGE:
                position += 11 + _colours(content[position + 9])  # and the smallest code's length
            else:
                position += 2
            position = _behind_sub_blocks(content, position)
        return content[position] == TRAILER
    except IndexError:
        return False


def _colours(flags: int) -> int:
    """Bytes of the table of colours that `flags` announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _behind_sub_blocks(content: bytes, position: int) -> int:
    while content[position]:
        position += 1 + content[position]
    return position + 1
