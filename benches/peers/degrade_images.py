"""Writes real images of a folder in two halves, and degraded versions of the second: python degrade_images.py FOLDER OUT [COUNT]

OUT/real.npy is the first half, OUT/held.npy the second; the others are the second half with blur, noise, JPEG artefacts, few different
images, pairs that are blended, shuffled tiles, distortion or a tint. `judge.py` and `rank_metrics` compare them.
"""

import hashlib
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from judge import ENDINGS, prepare

rng = np.random.RandomState(1)


def each(change):
    """Changes images [N, 3, H, W] one by one, as Pillow's images."""
    return lambda x: np.stack([np.asarray(change(Image.fromarray(i.transpose(1, 2, 0)))).transpose(2, 0, 1) for i in x])


def blur(sigma):
    return each(lambda image: image.filter(ImageFilter.GaussianBlur(sigma)))


def noise(sigma):
    return lambda x: np.clip(x + rng.normal(0, sigma, x.shape) + 0.5, 0, 255).astype(np.uint8)


def jpeg(quality):
    def change(image):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return each(change)


def drop(kept):
    return lambda x: x[np.arange(len(x)) % kept]


def blend(share):
    return lambda x: (x * (1 - share) + x[rng.permutation(len(x))] * share + 0.5).astype(np.uint8)


def shuffle(side):
    def change(x):
        n, c, h, w = x.shape
        tiles = x.reshape(n, c, h // side, side, w // side, side).transpose(0, 2, 4, 1, 3, 5).reshape(n, -1, c, side, side)
        tiles = np.stack([image[rng.permutation(len(image))] for image in tiles])
        tiles = tiles.reshape(n, h // side, w // side, c, side, side).transpose(0, 3, 1, 4, 2, 5)
        return np.ascontiguousarray(tiles.reshape(n, c, h, w))

    return change


def distort(pixels):
    def one(image):
        _, h, w = image.shape
        field = lambda: Image.fromarray(rng.normal(0, pixels, (5, 5)).astype(np.float32)).resize((w, h), Image.BICUBIC)
        y, x = np.mgrid[:h, :w] + np.stack([np.asarray(field()), np.asarray(field())])
        return image[:, np.clip(y, 0, h - 1).round().astype(int), np.clip(x, 0, w - 1).round().astype(int)]

    return lambda x: np.stack([one(image) for image in x])


def tint(amount):
    return lambda x: np.clip(x + np.array([amount, 0, -amount])[:, None, None], 0, 255).astype(np.uint8)


KINDS = {
    "held": lambda x: x,
    "blur07": blur(0.7),
    "blur15": blur(1.5),
    "noise8": noise(8),
    "noise25": noise(25),
    "jpeg8": jpeg(8),
    "drop20": drop(20),
    "blend50": blend(0.5),
    "shuffle32": shuffle(32),
    "shuffle8": shuffle(8),
    "distort6": distort(6),
    "tint20": tint(20),
}


def main():
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    out.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    np.random.RandomState(0).shuffle(files)
    different = {hashlib.sha256(path.read_bytes()).digest(): path for path in reversed(files)}
    images = np.stack([prepare(path, 64) for path in list(different.values())[: 2 * count]])
    half = len(images) // 2
    np.save(out / "real.npy", images[:half])
    for name, change in KINDS.items():
        np.save(out / f"{name}.npy", change(images[half : 2 * half]))


if __name__ == "__main__":
    main()
