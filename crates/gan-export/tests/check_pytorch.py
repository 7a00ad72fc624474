"""Checks exported PyTorch modules.

    pip install torch safetensors numpy
    cargo run --release -p gan-export --example write_all -- FOLDER
    python crates/gan-export/tests/check_pytorch.py FOLDER

Each module is loaded with `load_state_dict(strict=True)` and its outputs in f64 are compared with those that gan computes in f64. Prints the
largest difference, relative to the largest output or to 1 if that is larger, in f64 and, for information, in f32.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch

MOST = 1e-6


def difference(found, expected):
    found = found.numpy()
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))


@torch.no_grad()
def check(folder, path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load()
    x = torch.from_numpy(np.load(folder / f"{path.stem}.x.npy"))
    classes = folder / f"{path.stem}.class.npy"
    more = [torch.from_numpy(np.load(classes))] if hasattr(module, "CLASSES") else []
    expected = [np.load(file) for file in sorted(folder.glob(f"{path.stem}.y?.npy"))]

    def worst(network, x):
        found = network(x, *more)
        found = found if isinstance(found, tuple) else (found,)
        assert len(found) == len(expected)
        return max(difference(a, b) for a, b in zip(found, expected))

    single = worst(network, x)
    double = worst(network.double(), x.double())
    if hasattr(module, "generate"):
        samples = module.generate(3)
        assert len(samples) == 3 and samples.shape[1:] == expected[0].shape[1:]
        assert torch.equal(samples, module.generate(3, network=module.load()))
    return double, single


def main():
    folder = Path(sys.argv[1])
    paths = sorted(folder.glob("*.py"))
    worst = {path.stem: check(folder, path) for path in paths}
    for name, (double, single) in sorted(worst.items(), key=lambda item: item[1])[-5:]:
        print(f"{name}: {double:.1e} in f64, {single:.1e} in f32")
    print(f"f32: at most {max(single for _, single in worst.values()):.1e}")
    failed = [name for name, (double, _) in worst.items() if not double < MOST]
    print(f"{len(paths)} modules, {len(failed)} failed: {', '.join(failed)}")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
