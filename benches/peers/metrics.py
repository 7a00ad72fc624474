"""Times metrics in numpy, scipy and the package prdc: python metrics.py [SAMPLES] [FEATURES] [ROUNDS] [NAMES...]

The workload is that of `cargo run --example metrics_speed`, on features from the same distribution: cov and sqrtm (FID), kid in float64, prdc, nearest.
"""

import contextlib
import io
import resource
import statistics
import sys
import time

import numpy as np
import scipy.linalg
from prdc import compute_prdc
from sklearn.metrics import pairwise_distances_argmin_min

n, dim, rounds = [int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((1, 10_000), (2, 2048), (3, 3))]
names = sys.argv[4:]
mixing = np.random.default_rng(0).normal(size=(64, dim)).astype(np.float32) * 0.1


def synthetic(seed, shift):
    random = np.random.default_rng(seed)
    own = random.standard_normal((n, dim), np.float32) * (0.3 / (1 + np.arange(dim) % 7)).astype(np.float32)
    return np.maximum(random.standard_normal((n, 64), np.float32) @ mixing + own + np.float32(0.2 + shift), 0)


def timed(name, work):
    if names and name not in names:
        return
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        value = work()
        seconds.append(time.perf_counter() - start)
    print(f"{name:<9} {statistics.median(seconds):8.3f} s   {value:.9f}", flush=True)


def sqrtm():
    overlap = np.trace(scipy.linalg.sqrtm(a @ b)).real
    return np.sum((real.mean(0) - generated.mean(0)) ** 2) + np.trace(a) + np.trace(b) - 2 * overlap


def kid(count=100, size=1000):
    random, found = np.random.default_rng(0), []
    kernel = lambda x, y: (x @ y.T / dim + 1) ** 3
    for _ in range(count):
        x, y = [s[random.choice(n, min(size, n), replace=False)].astype(np.float64) for s in (real, generated)]
        m = len(x)
        within = sum(k.sum() - np.trace(k) for k in (kernel(x, x), kernel(y, y)))
        found.append(within / (m * (m - 1)) - 2 * kernel(x, y).mean())
    return np.mean(found)


def prdc():
    with contextlib.redirect_stdout(io.StringIO()):
        return sum(compute_prdc(real, generated, 5).values())


real, generated = synthetic(1, 0.0), synthetic(2, 0.05)
print(f"{n} real and {n} generated samples of {dim} features, median of {rounds}")
timed("cov", lambda: np.cov(real, rowvar=False)[0, 0] + np.cov(generated, rowvar=False)[0, 0])
if not names or "sqrtm" in names:
    a, b = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
timed("sqrtm", sqrtm)
timed("kid", kid)
timed("prdc", prdc)
timed("nearest", lambda: pairwise_distances_argmin_min(generated, real)[1].mean())
print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
