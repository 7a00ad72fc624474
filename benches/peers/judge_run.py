"""Judges the generator of every checkpoint of a run, and the one that the run kept as its best.

    python judge_run.py GAN RUN REAL [--count N] [--json FILE]

GAN is the program, REAL as for judge.py. The run must have kept its checkpoints (`--set checkpoint.keep=60`). Each line has the step, the Fréchet
distance of the judge, and the run's own figure; the last line compares the best of the judge with the kept one.
"""
import argparse, json, pathlib, subprocess, tempfile
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file
import judge

ap = argparse.ArgumentParser()
ap.add_argument("gan"); ap.add_argument("run", type=pathlib.Path); ap.add_argument("real"); ap.add_argument("--count", type=int, default=2000); ap.add_argument("--threads", type=int, default=1)
ap.add_argument("--cache", type=pathlib.Path, default=pathlib.Path("judge-cache")); ap.add_argument("--json", type=pathlib.Path)
a = ap.parse_args()
judge.torch.set_num_threads(a.threads)
with safe_open(a.run / "generator.safetensors", "np") as f: metadata, names = f.metadata(), list(f.keys())
own = {}
for line in (a.run / "evaluations.jsonl").read_text().splitlines():
    found = json.loads(line); own[found["step"]] = {x["metric"]: x["value"] for x in found["card"]["figures"]}
real = judge.features(judge.load(a.real, a.count, 64), a.cache)
of_real = judge.moments(real)


def judged(weights):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "samples.npy"
        subprocess.run([a.gan, "generate", str(weights), "--count", str(a.count), "--seed", "5", "--out", str(out)], check=True, capture_output=True)
        fake = judge.features(judge.load(out, a.count, 64), a.cache)
    return dict(fd=judge.frechet(of_real, judge.moments(fake)), **judge.prdc(real[: len(fake)], fake[: len(real)]))


def report(**line):
    print(json.dumps(line), flush=True)
    if a.json: a.json.open("a").write(json.dumps(line) + "\n")


best = None
for checkpoint in sorted((a.run / "checkpoints").glob("step-*")):
    step = int(checkpoint.name.split("-")[1])
    if step == 0: continue
    with safe_open(checkpoint / "tensors.safetensors", "np") as f:
        prefix = "ema." if any(k.startswith("ema.") for k in f.keys()) else "generator."
        tensors = {name: f.get_tensor(prefix + name) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "g.safetensors"
        save_file(tensors, path, metadata)
        found = judged(path)
    best = min(best or found["fd"], found["fd"])
    report(run=a.run.name, step=step, **found, own=own.get(step, {}).get("fd_texture"))
kept = judged(a.run / "generator-best.safetensors")
report(run=a.run.name, kept=kept, best=best, ratio=kept["fd"] / best if best else None)
