"""Writes the same noisy disks as RGB and as RGBA PNG files of 128x128: make_sprites.py DIR COUNT. Needs the standard library only."""

import math
import os
import random
import struct
import sys
import zlib

SIDE = 128
DIFFERENT = 40


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(rows, colour_type):
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 6)) + chunk(b"IEND", b"")


def sprite(n):
    """Rows of RGBA: waves with noise, opaque within a disk."""
    rows = []
    for y in range(SIDE):
        row = bytearray()
        for x in range(SIDE):
            waves = [120 + 100 * math.sin((x * (1 + (n + k) % 5) + y * k) / 23) for k in (1, 2, 3)]
            depth = SIDE * 0.45 - math.hypot(x - SIDE / 2, y - SIDE / 2)
            alpha = int(max(0, min(4, depth)) / 4 * 255)
            row += bytes(min(255, int(wave) + random.randrange(16)) for wave in waves) + bytes([alpha])
        rows.append(row)
    return rows


def without_alpha(row):
    rgb = bytearray(3 * SIDE)
    for channel in range(3):
        rgb[channel::3] = row[channel::4]
    return rgb


def main(folder, count):
    random.seed(1)
    sprites = [sprite(n) for n in range(DIFFERENT)]
    for name in ("rgb", "rgba"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    for n in range(count):
        # Shifted, so that no two files are equal.
        down, across = n // DIFFERENT % SIDE, 4 * 17 * (n // DIFFERENT // SIDE)
        rows = sprites[n % DIFFERENT]
        rows = [row[across:] + row[:across] for row in rows[down:] + rows[:down]]
        for name, image in (("rgb", png([without_alpha(row) for row in rows], 2)), ("rgba", png(rows, 6))):
            with open(os.path.join(folder, name, f"{n:05}.png"), "wb") as file:
                file.write(image)


main(sys.argv[1], int(sys.argv[2]))
