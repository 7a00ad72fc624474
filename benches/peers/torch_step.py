"""Times training steps of a preset, or generation from it, in PyTorch, for comparison with `gan bench`.

gan preset show NAME --full > preset.toml
python torch_step.py preset.toml [--mode MODES] [--batch N] [--steps N] [--repeats N] [--threads N] [--device cpu|cuda] [--generate N]
    [--profile]
MODES are joined by +: cl (channels_last), bf16 (autocast), compile (on CUDA with CUDA graphs, unless graph is there too), f32 (on CUDA
without TF32), graph (the whole step captured as a CUDA graph and replayed). eager is none of them. Networks, loss, penalties, optimizers and the order of updates are the preset's; EMA is left out.
Timed are whole cycles of penalties that are not due at every step. A time is that of --repeats steps, divided by their number.
Prints one JSON line: mean, median and best seconds per step, images per second, CPU milliseconds per step, peak RSS and device memory in
MiB; with --profile, first a table of a step's CUDA kernels.
"""
import argparse
import contextlib
import itertools
import json
import pathlib
import resource
import statistics
import time
import tomllib

import torch
import torch.nn.functional as F

from networks import build

ap = argparse.ArgumentParser()
ap.add_argument("toml")
ap.add_argument("--mode", default="eager")
ap.add_argument("--batch", type=int)
ap.add_argument("--steps", type=int, default=6)
ap.add_argument("--repeats", type=int, default=1)
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--device", default="cpu")
ap.add_argument("--generate", type=int)
ap.add_argument("--profile", action="store_true")
a = ap.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(0)

with open(a.toml, "rb") as file:
    preset = tomllib.load(file)
train, loss, penalties = preset["train"], preset["loss"], preset.get("penalties", [])
batch = a.batch or train["batch"]
pack = train.get("pacgan", 1)
size = preset["data"].get("size")
sides = [] if size is None else size if isinstance(size, list) else [size, size]
sample = [preset["data"]["channels"], *sides]
latent = preset["latent"]["dim"]

modes = a.mode.split("+")
graphed = "graph" in modes
torch.backends.cudnn.benchmark = True
torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = "f32" not in modes
layout = dict(memory_format=torch.channels_last) if "cl" in modes else {}


def network(name, shape):
    settings = preset[name]
    module = build(settings["layers"], shape, settings.get("spectral_norm", False))[0].to(a.device, **layout)
    graphs = a.device == "cuda" and not graphed
    return torch.compile(module, mode="reduce-overhead" if graphs else None) if "compile" in modes else module


def optimizer(module, settings):
    if settings["kind"] == "rmsprop":
        rate, alpha, epsilon = settings["lr"], settings["alpha"], settings["epsilon"]
        return torch.optim.RMSprop(module.parameters(), rate, alpha, epsilon, capturable=graphed)
    betas, epsilon = settings["betas"], settings["epsilon"]
    return torch.optim.Adam(module.parameters(), settings["lr"], betas, epsilon, fused=True, capturable=graphed)


g, d = network("generator", preset["generator"]["input"]), network("discriminator", [sample[0] * pack, *sample[1:]])
opt_g, opt_d = optimizer(g, preset["optimizer"]["generator"]), optimizer(d, preset["optimizer"]["discriminator"])
real = (torch.rand(batch, *sample) * 2 - 1).to(a.device, **(layout if sides else {}))
classes = torch.randint(0, 10, (batch,), device=a.device)
labels = loss.get("real_label", 1.0), loss.get("fake_label", 0.0)


def cast():
    return torch.autocast(a.device, dtype=torch.bfloat16) if "bf16" in modes else contextlib.nullcontext()


def noise(n):
    return torch.randn(n, *preset["generator"]["input"], device=a.device)


def packed(x):
    return x if pack == 1 else x.reshape(x.shape[0] // pack, -1, *x.shape[2:])


def judged(x, of=None):
    """Returns D's logits, and the loss of an auxiliary classifier."""
    of = classes if of is None else of
    output = d(packed(x), of).float()
    if output.shape[1] == 1:
        return output[:, 0], 0.0
    return output[:, 0], loss.get("auxiliary", 1.0) * F.cross_entropy(output[:, 1:], of)


def entropy(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target), reduction="none")


def parts_of_d(on_real, on_fake):
    """Returns D's loss of each real and each generated sample."""
    kind = loss["kind"]
    if kind == "hinge":
        return F.relu(1 - on_real), F.relu(1 + on_fake)
    if kind == "wasserstein":
        return -on_real, on_fake
    if kind == "least_squares":
        return (on_real - labels[0]) ** 2 / 2, (on_fake - labels[1]) ** 2 / 2
    return entropy(on_real, labels[0]), entropy(on_fake, labels[1])


def loss_of_d(fake):
    if train.get("joint_batch"):
        both, more = judged(torch.cat([real, fake]), torch.cat([classes, classes]))
        return torch.cat(parts_of_d(*both.chunk(2))).mean() + more
    (on_real, more_real), (on_fake, more_fake) = judged(real), judged(fake)
    if loss["kind"] == "relativistic_pairing":
        return F.softplus(on_fake - on_real).mean()
    of_real, of_fake = parts_of_d(on_real, on_fake)
    return of_real.mean() + of_fake.mean() + more_real + more_fake


def loss_of_g(fake):
    on_fake, more = judged(fake)
    if loss["kind"] == "relativistic_pairing":
        return F.softplus(judged(real)[0].detach() - on_fake).mean()
    if loss["kind"] in ("hinge", "wasserstein"):
        return more - on_fake.mean()
    if loss["kind"] == "least_squares":
        return ((on_fake - 1) ** 2).mean() / 2 + more
    return entropy(on_fake, 1.0).mean() + more


def penalty(settings, fake):
    """Returns a penalty on D's gradient, with its weight."""
    kind = settings["kind"]
    if kind == "gp":
        mix = torch.rand(batch, *[1] * len(sample), device=a.device)
        x = real + mix * (fake.detach() - real)
    else:
        x = {"r1": real, "r2": fake}[kind]
    x = packed(x).detach().requires_grad_(True)
    grad, = torch.autograd.grad(d(x, classes)[:, 0].float().sum(), x, create_graph=True)
    square = grad.float().pow(2).flatten(1).sum(1)
    value = ((square.sqrt() - 1) ** 2).mean() if kind == "gp" else square.mean() / 2
    return value * settings["weight"] * settings.get("every", 1)


def generated(for_d):
    """Returns generated samples: without a graph if only D learns from them, as the preset says."""
    reused = train.get("reuse_fakes", True) and train.get("d_steps", 1) == 1
    if not for_d or reused:
        return g(noise(batch), classes)
    g.train(train.get("fakes_mode", "train") == "train")
    with torch.no_grad():
        fake = g(noise(batch), classes)
    g.train()
    return fake


updates = 0


def step():
    global updates
    for _ in range(train.get("d_steps", 1)):
        opt_d.zero_grad()
        with cast():
            fake = generated(for_d=True)
            value = loss_of_d(fake.detach())
        value.backward()
        for settings in penalties:
            if settings["kind"] != "clip" and updates % settings.get("every", 1) == 0:
                with cast():
                    value = penalty(settings, fake)
                value.backward()
        opt_d.step()
        for settings in penalties:
            if settings["kind"] == "clip":
                with torch.no_grad():
                    for weight in d.parameters():
                        weight.clamp_(-settings["weight"], settings["weight"])
        updates += 1
    opt_g.zero_grad()
    with cast():
        value = loss_of_g(fake if fake.requires_grad else generated(for_d=False))
    value.backward()
    opt_g.step()


def generate():
    """Generates --generate images in batches of 250."""
    with torch.inference_mode(), cast():
        return torch.cat([g(noise(250), classes[:1].expand(250)) for _ in range(a.generate // 250)])


def captured(cycle):
    """Returns a function that replays the next of the `cycle` steps, each captured as a CUDA graph."""
    global updates
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3 * cycle):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    updates, graphs = 0, []
    for _ in range(cycle):
        graphs.append(torch.cuda.CUDAGraph())
        with torch.cuda.graph(graphs[-1]):
            step()
    order = itertools.cycle(graphs)
    return lambda: next(order).replay()


def profile():
    """Prints the CUDA kernels of three steps, by their time."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
        for _ in range(3):
            step()
        wait()
    kernels = sorted(found.key_averages(), key=lambda kernel: -kernel.device_time_total)
    for kernel in kernels[:40]:
        print(f"{kernel.device_time_total / 3:9.1f} us in {kernel.count / 3:6.1f} launches: {kernel.key[:110]}")
    total = sum(kernel.device_time_total for kernel in kernels) / 3
    print(f"{total:9.1f} us in {sum(kernel.count for kernel in kernels) / 3:6.1f} launches: all, per step")


if a.generate:
    g.eval()
    batch, step = a.generate, generate
wait = torch.cuda.synchronize if a.device == "cuda" else (lambda: None)
cycle = 1 if a.generate else max([settings.get("every", 1) for settings in penalties] + [1])
if graphed:
    step = captured(cycle)
for _ in range(4 if a.device == "cuda" else 2):
    step()
wait()
if a.profile:
    profile()
updates, times, cpu = 0, [], time.process_time()
for _ in range(-(-a.steps // cycle) * cycle):
    start = time.perf_counter()
    for _ in range(a.repeats):
        step()
    wait()
    times.append((time.perf_counter() - start) / a.repeats)
cpu = (time.process_time() - cpu) / len(times) / a.repeats
mean = sum(times) / len(times)
found = dict(work=preset.get("preset", pathlib.Path(a.toml).stem), mode=a.mode, device=a.device, batch=batch, threads=a.threads, mean_s=mean)
found |= dict(step_s=statistics.median(times), best_s=min(times), images_per_s=batch / mean, cpu_ms=cpu * 1e3)
if a.device == "cuda":
    found |= dict(card=torch.cuda.get_device_name(), device_mib=torch.cuda.max_memory_allocated() / 2**20)
print(json.dumps(found | dict(peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))
