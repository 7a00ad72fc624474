"""Compares the speed of this project with PyTorch's on one machine, and prints the tables of docs/performance.md.

python compare.py GAN [--rounds N] [--only NAME ...] [--modes MODE ...] [--write FILE]
GAN is the release binary. For each row, PyTorch's modes of the same precision are tried once; the fastest one then alternates with GAN for
N rounds. Times are means over whole cycles of penalties that are not due at every step; the tables have medians over the rounds, and the
ratios are medians of the rounds' ratios. With --write, the tables replace the lines between "<!-- peers -->" and "<!-- /peers -->" in FILE.
Requires torch.
"""
import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

ap = argparse.ArgumentParser()
ap.add_argument("gan")
ap.add_argument("--rounds", type=int, default=5)
ap.add_argument("--only", nargs="+", help="rows whose preset is one of these, and \"generation\" and \"scaling\"")
ap.add_argument("--modes", nargs="+", help="modes of PyTorch to try, where a row has them; all by default")
ap.add_argument("--write")
args = ap.parse_args()
here = pathlib.Path(__file__).parent
presets = tempfile.TemporaryDirectory()
F32, BF16, SMALL = ["eager", "cl", "compile", "cl+compile"], ["bf16", "cl+bf16"], ["eager", "compile"]
# Seconds that one measurement of each side may take, about.
PATIENCE = 4.0

# Preset, name of the row (the preset's if None), PyTorch's modes, settings of `gan bench`, threads.
STEPS = [
    ("dcgan-celeba", None, F32, [], 2),
    ("dcgan-celeba", "`dcgan-celeba`, bf16", BF16, ["--set", "train.precision=bf16"], 2),
    ("dcgan-mnist", None, F32, [], 2),
    ("keras-mnist", None, F32, [], 2),
    ("keras-mnist", "`keras-mnist`, bf16", BF16, ["--set", "train.precision=bf16"], 2),
    ("mnist", None, F32, [], 2),
    ("acgan-mnist", None, F32, [], 2),
    ("stacked-mnist", None, F32, [], 2),
    ("upsample-mnist", None, F32, [], 2),
    ("mlp-mnist", None, SMALL, [], 2),
    ("wgan-gp-mnist", None, F32, [], 2),
    ("hinge-sn-mnist", None, F32, [], 2),
    ("r3gan-mnist", None, F32, [], 2),
    ("r3gan-cifar10", None, F32, [], 2),
    ("sngan-cifar10", None, F32, [], 2),
    ("curve2d", None, SMALL, [], 1),
]
GENERATE = ("dcgan-mnist", "10,000 digits from `dcgan-mnist`'s generator", F32, ["--generate", "10000"], 2)


def attempt(command):
    """Returns the measurement of a command, or None if it fails, and its messages."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    return (json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None), done.stderr


def run(command):
    found, messages = attempt(command)
    return found or sys.exit(f"{command}: {messages}")


def full_settings(preset):
    """Returns a file with every setting and layer of a preset."""
    path = pathlib.Path(presets.name) / f"{preset}.toml"
    if not path.exists():
        text = subprocess.run([args.gan, "preset", "show", preset, "--full"], capture_output=True, text=True, check=True).stdout
        path.write_text(text)
    return path


def in_torch(preset, arguments, mode, threads):
    return [sys.executable, here / "torch_step.py", full_settings(preset), *arguments, "--mode", mode, "--threads", threads]


def torch(preset, arguments, mode, threads):
    return run(in_torch(preset, arguments, mode, threads))


def trials(preset, arguments, modes, threads):
    """Returns a measurement of each mode that can train the preset. Compiled networks have no double backward, which penalties need."""
    found = {}
    for mode in modes:
        measured, messages = attempt(in_torch(preset, arguments, mode, threads))
        if measured:
            found[mode] = measured
        else:
            print(f"{preset} does not run in the mode {mode}: {messages.strip().splitlines()[-1]}", file=sys.stderr)
    return found


def ours(preset, arguments, threads):
    return run([args.gan, "bench", preset, *arguments, "--threads", threads, "--json"])


def steps_for(seconds):
    """Returns how many steps fill the patience: whole cycles of four, the longest of the presets' penalties."""
    return 4 * max(1, min(2500, round(PATIENCE / seconds / 4)))


def duration(seconds):
    ms = seconds * 1e3
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


def row(preset, name, modes, settings, threads):
    generate = settings if settings[:1] == ["--generate"] else []
    modes = [mode for mode in modes if not args.modes or mode in args.modes]
    tried = trials(preset, [*generate, "--steps", "4"], modes, threads)
    best = min(tried, key=lambda mode: tried[mode]["mean_s"])
    first = ours(preset, [*settings, "--steps", "4"], threads)
    n = ["--steps", steps_for(tried[best]["mean_s"])]
    repeats = ["--repeats", "25"] if tried[best]["mean_s"] < 4e-3 else []
    if repeats:
        n = ["--steps", 40]
    theirs, mine = [], []
    for _ in range(args.rounds):
        theirs.append(torch(preset, [*generate, *n, *repeats], best, threads))
        mine.append(ours(preset, [*settings, "--steps", steps_for(first["mean_s"])], threads))
    middle = lambda runs, key: statistics.median(found[key] for found in runs)
    ratio = lambda key: statistics.median(a[key] / max(b[key], 1e-9) for a, b in zip(theirs, mine))
    memory = [middle(theirs, "peak_rss_mib"), middle(mine, "peak_rss_mib")]
    line = (f"| {name or f'`{preset}`'} | {duration(middle(theirs, 'mean_s'))} ({best}) | {duration(middle(mine, 'mean_s'))} "
            f"| {ratio('mean_s'):.2f} | {ratio('cpu_ms'):.2f} | {memory[0]:,.0f} | {memory[1]:,.0f} |")
    print(line, flush=True)
    return line


def scaling():
    runs = [[ours("dcgan-celeba", ["--steps", "5"], threads) for threads in (1, 2)] for _ in range(args.rounds)]
    ratio = statistics.median(one["step_s"] / two["step_s"] for one, two in runs)
    line = f"`dcgan-celeba` in f32 on 2 threads instead of 1: {ratio:.2f} times as fast."
    print(line, flush=True)
    return line


def machine():
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    flags = set(next((l for l in text.splitlines() if l.startswith("flags")), "").split())
    named = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if f in flags]
    said = lambda key, other: next((l.split(":")[1].strip() for l in text.splitlines() if l.startswith(key)), other)
    # Virtual machines often hide the name of the model, but not its numbers.
    numbers = [said(key, "?") for key in ("cpu family", "model\t")]
    model = f"{said('model name', platform.processor())} (family {numbers[0]}, model {numbers[1]})"
    commit = subprocess.run(["git", "-C", here, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    import torch as t
    return (f"{model}, {text.count('processor')} cores, {' '.join(named)}; commit {commit}; PyTorch {t.__version__}; "
            f"medians of {args.rounds} rounds, in turn; 2 threads, `curve2d` 1.")


head = "| {} | PyTorch's best | here | ratio, wall | ratio, CPU | MiB, PyTorch | MiB, here |\n|---|---|---|---|---|---|---|"
asked = lambda name: not args.only or name in args.only
parts = [machine(), "", head.format("training step"), *[row(*work) for work in STEPS if asked(work[0])]]
if asked("generation"):
    parts += ["", head.format("generation"), row(*GENERATE)]
if asked("scaling"):
    parts += ["", scaling()]
if args.write:
    path = pathlib.Path(args.write)
    before, rest = path.read_text().split("<!-- peers -->")
    after = rest.split("<!-- /peers -->")[1]
    path.write_text(before + "<!-- peers -->\n" + "\n".join(parts) + "\n<!-- /peers -->" + after)
