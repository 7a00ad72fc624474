"""Checks exported ONNX files with onnx.checker and onnxruntime.

    pip install onnx onnxruntime
    cargo run --release -p gan-export --example write_all -- FOLDER
    python crates/gan-export/tests/check_onnx.py FOLDER

Each network's outputs are compared with those that gan computes in f64. The batch is also divided into single samples, to check that its size
is free (except for networks whose samples depend on the others of the batch). Prints the largest difference, relative to the largest output
or to 1 if that is larger.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

MOST = 1e-5


def difference(found, expected):
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))


def check(folder, path):
    name = path.name.removesuffix(".onnx").removesuffix("-uint8")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    inputs = {names[0]: np.load(folder / f"{name}.x.npy")}
    if len(names) == 2:
        assert names[1] == "class"
        inputs["class"] = np.load(folder / f"{name}.class.npy")
    expected = [np.load(file) for file in sorted(folder.glob(f"{name}.y?.npy"))]
    found = session.run(None, inputs)
    assert len(found) == len(expected), name
    if path.name.endswith("-uint8.onnx"):
        exact = (expected[0] + 1) * 127.5
        exact = np.repeat(exact, 3, axis=1) if exact.shape[1] == 1 else exact
        assert found[0].dtype == np.uint8 and found[0].shape == exact.shape, name
        # Values between two bytes may be rounded to either; only generators that end in tanh stay within the bytes.
        return float(np.abs(found[0] - exact.clip(0, 255)).max()) - 0.5
    worst = max(difference(a, b) for a, b in zip(found, expected))
    if "SplitBatch" not in path.read_bytes().decode("latin-1"):
        for index in range(len(inputs[names[0]])):
            one = session.run(None, {key: value[index : index + 1] for key, value in inputs.items()})
            worst = max(worst, max(difference(a, b[index : index + 1]) for a, b in zip(one, expected)))
    return worst


def main():
    folder = Path(sys.argv[1])
    paths = sorted(folder.glob("*.onnx"))
    worst = {path.name: check(folder, path) for path in paths}
    for name, value in sorted(worst.items(), key=lambda item: item[1])[-5:]:
        print(f"{name}: {value:.1e}")
    failed = [name for name, value in worst.items() if not value < (1e-2 if name.endswith("-uint8.onnx") else MOST)]
    print(f"{len(paths)} files, {len(failed)} failed: {', '.join(failed)}")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
