"""Trains the DCGAN of PyTorch's tutorial in PyTorch and saves samples at intervals, to compare quality over wall-clock time with `gan train`.

gan preset show dcgan-mnist --full > preset.toml
python torch_dcgan.py preset.toml DATA OUT_DIR [--steps N | --minutes M] [--every N] [--samples N] [--mode eager|cl] [--threads N]
DATA is the folder of MNIST's files, or images uint8 [N, C, H, W] in an .npy. Networks, initialization, losses, optimizers and batch are those
of dcgan-mnist, dcgan-celeba or dcgan-folder, whose settings the preset has. Every N steps, and at the end, it writes OUT_DIR/step-0000200.npy,
float32 [N, C, H, W] in [-1, 1], generated in eval mode, and a line of OUT_DIR/times.jsonl with the step and the seconds of training, without
sampling and saving. --minutes counts those seconds.
"""
import argparse, gzip, json, pathlib, time, tomllib
import numpy as np, torch, torch.nn as nn
from networks import build

ap = argparse.ArgumentParser()
ap.add_argument("preset"); ap.add_argument("data"); ap.add_argument("out"); ap.add_argument("--steps", type=int, default=1407); ap.add_argument("--minutes", type=float); ap.add_argument("--every", type=int, default=200)
ap.add_argument("--samples", type=int, default=2000); ap.add_argument("--mode", default="cl"); ap.add_argument("--threads", type=int, default=2)
a = ap.parse_args()
torch.set_num_threads(a.threads); torch.manual_seed(1)
out = pathlib.Path(a.out); out.mkdir(parents=True, exist_ok=True)
if a.data.endswith(".npy"):
    images = torch.from_numpy(np.load(a.data))
else:
    raw = gzip.open(pathlib.Path(a.data) / "train-images-idx3-ubyte.gz").read()
    images = torch.from_numpy(np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 1, 28, 28).copy())

preset = tomllib.loads(pathlib.Path(a.preset).read_text()); zs = preset["generator"]["input"]
g, d = build(preset["generator"]["layers"], zs)[0], build(preset["discriminator"]["layers"], list(images.shape[1:]))[0]
for m in [*g.layers, *d.layers]:
    if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)): nn.init.normal_(m.weight, 0, 0.02)
    if isinstance(m, nn.BatchNorm2d): nn.init.normal_(m.weight, 1, 0.02); nn.init.zeros_(m.bias)
if a.mode == "cl": g, d = g.to(memory_format=torch.channels_last), d.to(memory_format=torch.channels_last)
og, od = (torch.optim.Adam(m.parameters(), 2e-4, betas=(0.5, 0.999), fused=True) for m in (g, d))
bce, batch = nn.BCEWithLogitsLoss(), 128


def batches():
    while True:
        for index in torch.randperm(len(images)).split(batch):
            yield (images[index].float() - 127.5) / 127.5


def save(step, seconds):
    g.eval()
    with torch.inference_mode():
        samples = torch.cat([g(torch.randn(250, *zs), None) for _ in range(a.samples // 250)])
    g.train()
    np.save(out / f"step-{step:07}.npy", samples.numpy())
    with open(out / "times.jsonl", "a") as f: f.write(json.dumps(dict(step=step, seconds=seconds)) + "\n")


(out / "times.jsonl").unlink(missing_ok=True)
seconds, data = 0.0, batches()
step, is_over = 0, False
while not is_over:
    step += 1
    start = time.perf_counter()
    real = next(data); n = len(real)
    if a.mode == "cl": real = real.to(memory_format=torch.channels_last)
    od.zero_grad(); og.zero_grad()
    fake = g(torch.randn(n, *zs), None)
    loss = bce(d(real, None).flatten(), torch.ones(n)) + bce(d(fake.detach(), None).flatten(), torch.zeros(n))
    loss.backward(); od.step()
    loss_g = bce(d(fake, None).flatten(), torch.ones(n))
    loss_g.backward(); og.step()
    seconds += time.perf_counter() - start
    is_over = seconds >= 60 * a.minutes if a.minutes else step == a.steps
    if step % a.every == 0 or is_over: save(step, seconds)
