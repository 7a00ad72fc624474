"""Checks and times training on a GPU, against PyTorch on the same card; `cargo xtask gpu` puts it beside the programs that it runs.

python run.py [--seconds 470] [--only PART ...]
Runs parts in the order of PARTS until the time is over: what was found, the kernels against the CPU's, the first steps of many presets against
the CPU's, steps timed here and in PyTorch's modes in turn, the work of a step with the time of each kernel, and kernels under compute-sanitizer if
that is installed. Writes gpu.json (all figures) and gpu.md (the table) into the folder that OUT names, or here, after each part. Requires torch for
the comparison.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ap = argparse.ArgumentParser()
ap.add_argument("--seconds", type=float, default=470)
ap.add_argument("--only", nargs="+")
args = ap.parse_args()
here = pathlib.Path(__file__).parent
out = pathlib.Path(os.environ.get("OUT") or here)
end = time.monotonic() + args.seconds
found = {"parity": {}, "times": {}, "failures": []}

PARITY = ["dcgan-mnist", "mnist", "acgan-mnist", "lsgan-mnist", "stacked-mnist", "wgan-mnist", "wgan-gp-mnist", "r3gan-mnist", "ring2d",
          "hinge-sn-mnist", "dcgan-cifar10", "r3gan-cifar10", "sngan-cifar10", "dcgan-celeba", "keras-mnist", "upsample-mnist", "mlp-mnist"]
PRECISIONS = {"f32-accurate": ["eager+f32"], "f32": ["eager", "graph+cl"], "bf16": ["cl+bf16", "graph+cl+bf16"]}
TIMED = ["dcgan-celeba", "dcgan-mnist", "mnist", "keras-mnist", "upsample-mnist", "r3gan-cifar10", "sngan-cifar10"]


def run(command, seconds):
    """Returns a command's output, or None if it fails or takes longer; failures are noted."""
    left = min(seconds, end - time.monotonic())
    if left < 2:
        return None
    print(f"{time.monotonic() - end + args.seconds:5.0f} s  {' '.join(map(str, command))}", flush=True)
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=left, cwd=here)
    except subprocess.TimeoutExpired:
        found["failures"].append({"command": command, "error": f"stopped after {left:.0f} s"})
        return None
    if done.returncode != 0:
        found["failures"].append({"command": command, "error": (done.stderr.strip() or done.stdout.strip())[-600:]})
        print(found["failures"][-1]["error"], flush=True)
        return None
    return done.stdout


def last_json(text):
    return json.loads(text.splitlines()[-1]) if text and text.strip() else None


def gan(*arguments, seconds=60):
    return last_json(run(["./gan", "bench", *arguments, "--device", "cuda", "--json"], seconds))


def listed():
    found["devices"] = run(["./gan", "devices"], 60)


def operations():
    found["operations"] = run(["./gpu_check", "found", "operations"], 120)


def parity():
    for precision in PRECISIONS:
        for preset in PARITY if precision == "f32-accurate" else PARITY[:2] + ["dcgan-celeba"]:
            steps = "20" if preset.endswith("mnist") or preset == "ring2d" else "3"
            same = gan(preset, "--check", "--steps", steps, "--set", f"train.precision={precision}", seconds=25)
            if same:
                found["parity"].setdefault(precision, {})[preset] = same["differences"]
                print("       ", {name: f"{error:.1e}" for name, error in same["differences"].items()}, flush=True)


def times():
    for preset in TIMED:
        rows = found["times"].setdefault(preset, {})
        for precision in ["f32", "bf16"]:
            ours = gan(preset, "--steps", "80", "--set", f"train.precision={precision}", seconds=30)
            if ours:
                rows[f"here {precision}"] = [ours["mean_s"] * 1e3, ours["device_mib"]]
            for mode in PRECISIONS[precision]:
                command = [sys.executable, "torch_step.py", f"{preset}.toml", "--device", "cuda", "--mode", mode, "--steps", "8", "--repeats", "10"]
                theirs = last_json(run([*command, "--threads", "8"], 40))
                if theirs:
                    rows[f"PyTorch {mode}"] = [theirs["mean_s"] * 1e3, theirs.get("device_mib")]
            write()


def start():
    begin = time.monotonic()
    if gan("dcgan-mnist", "--steps", "1"):
        found["start_s"] = time.monotonic() - begin


def sanitizer():
    if shutil.which("compute-sanitizer"):
        found["sanitizer"] = (run(["compute-sanitizer", "--error-exitcode", "9", "./gpu_check", "operations"], 60) or "")[-1500:]


def profile():
    found["profile"] = run(["./step_work", "dcgan-celeba"], 60)


PARTS = [listed, operations, parity, times, start, profile, sanitizer]


def write():
    lines = [f"{(found.get('devices') or '').strip()}", "", "| preset | mode | ms a step | MiB |", "|---|---|---|---|"]
    for preset, rows in found["times"].items():
        lines += [f"| `{preset}` | {mode} | {ms:.2f} | {'' if mib is None else f'{mib:,.0f}'} |" for mode, (ms, mib) in rows.items()]
    lines += ["", "| preset | precision | largest relative difference to the CPU |", "|---|---|---|"]
    for precision, presets in found["parity"].items():
        lines += [f"| `{preset}` | {precision} | {max(errors.values()):.1e} |" for preset, errors in presets.items()]
    lines += ["", f"{len(found['failures'])} failures", ""]
    (out / "gpu.md").write_text("\n".join(lines))
    (out / "gpu.json").write_text(json.dumps(found, indent=1, default=str))


for part in PARTS:
    if not args.only or part.__name__ in args.only:
        part()
        write()
print((out / "gpu.md").read_text())
