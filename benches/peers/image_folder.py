"""Times torchvision's ImageFolder on 3×64×64 images, for comparison with gan-data's example pack_speed.

python image_folder.py DIR [--images N] [--side S] [--workers W]
If DIR does not exist, writes N JPEG files of S×S smooth noise into it (178×218, CelebA's size, if S is 0). Then times
two passes of Resize, CenterCrop, ToTensor and Normalize in batches of 128. Requires torch and torchvision.
"""
import argparse, os, time
import numpy as np, torch
from PIL import Image
from torchvision import datasets, transforms as T

ap = argparse.ArgumentParser()
ap.add_argument("dir"); ap.add_argument("--images", type=int, default=5000)
ap.add_argument("--side", type=int, default=64); ap.add_argument("--workers", type=int, default=2)
a = ap.parse_args()
size = (a.side, a.side) if a.side else (178, 218)
if not os.path.isdir(a.dir):
    os.makedirs(f"{a.dir}/0")
    rng = np.random.default_rng(0)
    for i in range(a.images):
        small = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
        small.resize(size, Image.BICUBIC).save(f"{a.dir}/0/{i:06}.jpg", quality=90)
change = T.Compose([T.Resize(64), T.CenterCrop(64), T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)])
loader = torch.utils.data.DataLoader(
    datasets.ImageFolder(a.dir, change), 128, shuffle=True, drop_last=True, num_workers=a.workers, persistent_workers=True)
for number in (1, 2):
    start, images = time.perf_counter(), 0
    for batch, _ in loader:
        images += len(batch)
    print(f"pass {number}: {images / (time.perf_counter() - start):.0f} images/s, {a.workers} workers, files of {size[0]}×{size[1]}")
