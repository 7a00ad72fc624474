"""Compares the speed of this project with PyTorch's on one machine, and prints the table of docs/performance.md.

python compare.py GAN [--rounds N] [--write FILE]
GAN is the release binary. For each workload, PyTorch's modes of the same precision are tried once; the fastest one then alternates
with GAN for N rounds. The table has medians over the rounds; ratios are medians of the rounds' ratios. With --write, the table replaces
the lines between "<!-- peers -->" and "<!-- /peers -->" in FILE. Requires torch.
"""
import argparse, json, pathlib, platform, statistics, subprocess, sys

ap = argparse.ArgumentParser()
ap.add_argument("gan"); ap.add_argument("--rounds", type=int, default=5); ap.add_argument("--write")
args = ap.parse_args()
here = pathlib.Path(__file__).parent
F32, BF16 = ["eager", "cl", "compile"], ["bf16", "cl+bf16"]
BF = ["--set", "train.precision=bf16"]
# name, PyTorch's arguments, PyTorch's modes, arguments of `gan bench`, threads
WORKS = [
    ("`dcgan-celeba` step, batch 128, f32", ["dcgan64", "--steps", "4"], F32, ["dcgan-celeba", "--steps", "5"], 2),
    ("the same, bf16", ["dcgan64", "--steps", "5"], BF16, ["dcgan-celeba", "--steps", "7"] + BF, 2),
    ("`dcgan-mnist` step, batch 128, f32", ["dcgan28", "--steps", "20"], F32, ["dcgan-mnist", "--steps", "40"], 2),
    ("`keras-mnist` step, batch 64, f32", ["keras28", "--steps", "10"], F32, ["keras-mnist", "--steps", "15"], 2),
    ("the same, bf16", ["keras28", "--steps", "14"], BF16, ["keras-mnist", "--steps", "20"] + BF, 2),
    ("`curve2d` step, batch 256", ["curve", "--steps", "5"], ["eager", "compile"], ["curve2d", "--steps", "5000"], 1),
    ("10,000 digits from `dcgan-mnist`'s generator", ["generate", "--steps", "3"], F32, ["dcgan-mnist", "--generate", "10000", "--steps", "3"], 2),
]


def run(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def torch(arguments, mode, threads):
    return run([sys.executable, here / "torch_step.py", *arguments, "--mode", mode, "--threads", threads])


def ours(arguments, threads):
    return run([args.gan, "bench", *arguments, "--threads", threads, "--json"])


def middle(runs, key):
    return statistics.median(r[key] for r in runs)


def row(name, theirs, modes, mine, threads):
    best = min(modes, key=lambda mode: torch(theirs, mode, threads)["step_s"])
    a, b = [], []
    for _ in range(args.rounds):
        a.append(torch(theirs, best, threads)); b.append(ours(mine, threads))
    ratio = lambda key: statistics.median(x[key] / max(y[key], 1e-9) for x, y in zip(a, b))
    ms = lambda runs: (lambda m: f"{m:,.0f} ms" if m >= 100 else f"{m:.3g} ms")(middle(runs, "step_s") * 1e3)
    line = (f"| {name} | {threads} | {ms(a)} ({best}) | {ms(b)} | {ratio('step_s'):.2f} | {ratio('cpu_ms'):.2f} "
            f"| {middle(a, 'peak_rss_mib'):.0f} | {middle(b, 'peak_rss_mib'):.0f} |")
    print(line, flush=True)
    return line


def scaling():
    runs = [[ours(["dcgan-celeba", "--steps", "5"], threads) for threads in (1, 2)] for _ in range(args.rounds)]
    ratio = statistics.median(one["step_s"] / two["step_s"] for one, two in runs)
    line = f"`dcgan-celeba` in f32 on 2 threads instead of 1: {ratio:.2f} times as fast."
    print(line, flush=True)
    return line


def machine():
    text = pathlib.Path("/proc/cpuinfo").read_text() if pathlib.Path("/proc/cpuinfo").exists() else ""
    flags = set(next((l for l in text.splitlines() if l.startswith("flags")), "").split())
    named = [f for f in ("avx2", "avx512f", "avx512_bf16") if f in flags]
    model = next((l.split(":")[1].strip() for l in text.splitlines() if l.startswith("model name")), platform.processor())
    commit = subprocess.run(["git", "-C", str(here), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    import torch as t
    return (f"{model}, {text.count('processor')} cores, {' '.join(named)}; commit {commit}; PyTorch {t.__version__}; "
            f"medians of {args.rounds} rounds, in turn.")


head = "| work | threads | PyTorch's best | here | ratio, wall | ratio, CPU | MiB, PyTorch | MiB, here |\n|---|---|---|---|---|---|---|---|"
parts = [machine(), "", head] + [row(*work) for work in WORKS] + ["", scaling()]
if args.write:
    path = pathlib.Path(args.write); text = path.read_text()
    before, rest = text.split("<!-- peers -->"); after = rest.split("<!-- /peers -->")[1]
    path.write_text(before + "<!-- peers -->\n" + "\n".join(parts) + "\n<!-- /peers -->" + after)
