"""Writes JPEG files of CelebA's dimensions and file size: python make_faces.py DIR [COUNT]

The images have 178×218 pixels, quality 92 with 4:2:0 chroma subsampling, and 8 to 12 KB. Each contains different smooth shapes with fine noise.
"""

import pathlib
import sys

import numpy as np
from PIL import Image, ImageFilter


def face(random):
    coarse = random.integers(0, 256, (7, 6, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((178, 218), Image.BICUBIC)).astype(np.float32)
    grain = Image.fromarray(random.integers(0, 256, (218, 178)).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.8))
    noise = (np.asarray(grain).astype(np.float32) - 128) * 0.17
    return Image.fromarray(np.clip(smooth + noise[:, :, None], 0, 255).astype(np.uint8))


folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
for number in range(count):
    path = folder / "faces" / f"{number + 1:06}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    face(np.random.default_rng(number)).save(path, quality=92, subsampling=2)
