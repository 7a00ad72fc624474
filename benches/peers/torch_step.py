"""Times the presets' training steps in PyTorch, for comparison with `gan bench`.

python torch_step.py WORK [--mode eager|cl|bf16|cl+bf16|compile] [--batch N] [--steps N] [--threads N]
WORK: dcgan64 (dcgan-celeba) | dcgan28 (dcgan-mnist) | keras28 (keras-mnist) | curve (curve2d)
      | generate (10,000 images from dcgan-mnist's generator, in batches of 250). cl = channels_last, bf16 = autocast.
Prints one JSON line: median and best seconds per step, images per second, CPU milliseconds per step, peak RSS in MiB.
"""
import argparse, contextlib, json, resource, statistics, time
import torch, torch.nn as nn
from networks import dcgan, keras28, mlp

ap = argparse.ArgumentParser()
ap.add_argument("work"); ap.add_argument("--mode", default="eager")
ap.add_argument("--batch", type=int); ap.add_argument("--steps", type=int, default=6); ap.add_argument("--threads", type=int, default=2)
a = ap.parse_args()
torch.set_num_threads(a.threads); torch.manual_seed(0)
batch = a.batch or {"dcgan64": 128, "dcgan28": 128, "keras28": 64, "curve": 256, "generate": 10000}[a.work]

if a.work == "curve":
    g, (zs, xs) = mlp(2, 16, 16, 2), ((2,), (2,))
    d = nn.Sequential(*mlp(2, 16, 16, 2), nn.Linear(2, 1), nn.Flatten(0))
else:
    g, d, zs, xs = {"dcgan64": lambda: dcgan(64, 3, 64), "dcgan28": lambda: dcgan(28, 1, 64), "generate": lambda: dcgan(28, 1, 64), "keras28": keras28}[a.work]()
cl = dict(memory_format=torch.channels_last) if "cl" in a.mode else {}
if cl: g, d = g.to(**cl), d.to(**cl)
if a.mode == "compile": g, d = torch.compile(g), torch.compile(d)
cast = (lambda: torch.autocast("cpu", dtype=torch.bfloat16)) if "bf16" in a.mode else contextlib.nullcontext
opt = (lambda m, lr: torch.optim.RMSprop(m.parameters(), lr)) if a.work == "curve" else (lambda m, lr: torch.optim.Adam(m.parameters(), lr, betas=(0.5, 0.999), fused=True))
og, od = opt(g, 1e-3 if a.work == "curve" else 2e-4), opt(d, 1e-3 if a.work in ("curve", "keras28") else 2e-4)
bce = nn.BCEWithLogitsLoss(); one, zero = torch.ones(batch), torch.zeros(batch)
real = torch.rand(1 if a.work == "generate" else batch, *xs) * 2 - 1
if cl: real = real.to(**cl)


def step():
    od.zero_grad(); og.zero_grad()
    with cast(): fake = g(torch.randn(batch, *zs)); loss = bce(d(real), one) + bce(d(fake.detach()), zero)
    loss.backward(); od.step()
    with cast(): loss_g = bce(d(fake), one)
    loss_g.backward(); og.step()


def generate():
    with torch.inference_mode(), cast():
        return torch.cat([g(torch.randn(250, *zs)) for _ in range(batch // 250)])


if a.work == "generate":
    g.eval()
    step = generate
reps = 400 if a.work == "curve" else 1
for _ in range(2): step()
times, cpu = [], time.process_time()
for _ in range(a.steps):
    t = time.perf_counter()
    for _ in range(reps): step()
    times.append((time.perf_counter() - t) / reps)
cpu = (time.process_time() - cpu) / a.steps / reps
m = statistics.median(times)
print(json.dumps(dict(work=a.work, mode=a.mode, batch=batch, threads=a.threads, step_s=m, best_s=min(times), images_per_s=batch / m, cpu_ms=cpu * 1e3,
                      peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))
