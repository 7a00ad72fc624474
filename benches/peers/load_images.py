"""Times one epoch of torchvision's image loading: python load_images.py DIR [SIDE] [BATCH] [WORKERS]

DIR contains folders of images, as ImageFolder requires. Prints the same line as `cargo run --example load`. The memory
is the sum of this process and its largest worker.
"""

import resource
import sys
import time

import torch
from torchvision import datasets, transforms

folder = sys.argv[1]
side, batch, workers = [int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((2, 64), (3, 128), (4, 2))]
torch.set_num_threads(1)
start = time.perf_counter()
steps = [transforms.Resize(side), transforms.CenterCrop(side), transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
data = datasets.ImageFolder(folder, transforms.Compose(steps))
opened = time.perf_counter() - start
loader = iter(torch.utils.data.DataLoader(data, batch_size=batch, shuffle=True, num_workers=workers, drop_last=True))
next(loader)
first = time.perf_counter() - start
start = time.perf_counter()
images = sum(len(images) for images, _ in loader)
rate = images / (time.perf_counter() - start)
del loader
memory = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
print(f"{rate:.0f} images/s, opened after {opened:.2f} s, first batch after {first:.2f} s, {memory:.0f} MiB")
