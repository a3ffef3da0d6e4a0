"""Whole or not: image files whose end is missing. Decoders fill the lost part with grey and say nothing."""

from __future__ import annotations

import zlib

_PNG = b"\x89PNG\r\n\x1a\n"


def damage(content: bytes) -> str | None:
    """Return what is wrong with the bytes of an image file, such as "is truncated"; None where nothing is found.

    Checked are, for JPEG, the end-of-image marker after the last scan; for PNG, every chunk with its checksum up to
    IEND; for BMP, that all rows are there. Other formats are left to their decoder.
    """
    if not content:
        return "is empty"
    if content.startswith(b"\xff\xd8"):
        return _jpeg(content)
    if content.startswith(_PNG):
        return _png(content)
    if content.startswith(b"BM"):
        return _bmp(content)
    return None


def _jpeg(content: bytes) -> str | None:
    # Inside a scan 0xFF is always followed by 0 or a restart marker, so these two bytes are the marker itself.
    scan = content.rfind(b"\xff\xda")
    if scan < 0 or content.find(b"\xff\xd9", scan) < 0:
        return "is truncated (a JPEG without its end)"
    return None


def _png(content: bytes) -> str | None:
    position = len(_PNG)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        kind = content[position + 4 : position + 8]
        end = position + 8 + length
        if end + 4 > len(content):
            break
        if zlib.crc32(content[position + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
            return f"is damaged (PNG chunk {kind!r} does not match its checksum)"
        if kind == b"IEND":
            return None
        position = end + 4
    return "is truncated (a PNG without its end)"


def _bmp(content: bytes) -> str | None:
    if len(content) < 34:
        return "is truncated (a BMP without its header)"
    start = int.from_bytes(content[10:14], "little")
    if int.from_bytes(content[14:18], "little") < 40:
        return None
    width = int.from_bytes(content[18:22], "little", signed=True)
    height = int.from_bytes(content[22:26], "little", signed=True)
    bits = int.from_bytes(content[28:30], "little")
    uncompressed = int.from_bytes(content[30:34], "little") in (0, 3)
    row = (abs(width) * bits + 31) // 32 * 4
    if uncompressed and len(content) < start + row * abs(height):
        return "is truncated (a BMP without all of its rows)"
    return None
