"""Imports weights of public repositories and compares what the networks compute with PyTorch.

    pip install torch safetensors numpy
    cargo build --release -p gan-cli
    python crates/gan-import/tests/check_imports.py FOLDER target/release/gan

FOLDER holds a clone of each repository in `OWNER+NAME`; those that are missing are skipped. The modules below are written by hand after the code of the
repositories, and take the original tensors in their order. Whole pickled modules are read by an unpickler that runs no code of the file.

The outputs of each module in f64 are compared with those of the network that `gan export` writes after the import, in f64 (at most 1e-9 of the largest
output, or of 1 if that is larger), and for generators with `gan generate --latents`, in f32 (at most 3e-5). The difference of PyTorch's own f32 is printed
beside it. Prints a row for each file, as in docs/import.md, and fails if a difference is larger, or a file that should be refused is not.
"""

import importlib.util
import io
import pickle
import subprocess
import sys
import tempfile
import types
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

MOST = {"f64": 1e-9, "f32": 3e-5}
NETWORKS = Path(__file__).parent / "networks"


class Stub:
    """Any class of a pickle: it keeps its attributes and does nothing."""

    def __new__(cls, *_, **__):
        return object.__new__(cls)

    def __init__(self, *_, **__):
        pass

    def __setstate__(self, state):
        if isinstance(state, dict):
            self.__dict__.update(state)


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return lambda data: load(io.BytesIO(data))
        is_plain = (module, name) in [
            ("collections", "OrderedDict"),
            ("torch._utils", "_rebuild_tensor_v2"),
            ("torch._utils", "_rebuild_parameter"),
            ("builtins", "set"),
            ("__builtin__", "set"),
        ]
        if is_plain or (module == "torch" and name.endswith("Storage")):
            return super().find_class(module, name)
        return type(name, (Stub,), {})


READER = types.SimpleNamespace(
    Unpickler=Unpickler, load=lambda file, **options: Unpickler(file, **options).load(), UnpicklingError=pickle.UnpicklingError, __name__="pickle"
)


def load(file):
    return torch.load(file, map_location="cpu", pickle_module=READER, weights_only=False)


def flat(module, prefix=""):
    """The state dict of a pickled module."""
    own = {**module._parameters, **module._buffers}
    found = OrderedDict((prefix + name, value) for name, value in own.items() if value is not None)
    for name, child in module._modules.items():
        found.update(flat(child, f"{prefix}{name}."))
    return found


def state_of(path):
    start = path.read_bytes()[:15]
    if start[:2] == b"PK" or start[2:10] == b"\x8a\x0al\xfc\x9cF\xf9 ":
        found = load(path)
    else:
        found = Unpickler(path.open("rb")).load()
    found = found if isinstance(found, dict) else flat(found)
    return found.get("model_state_dict", found)


class Join(nn.Module):
    """Concatenates z and the class, as a learned vector or one-hot."""

    def __init__(self, classes, size=None):
        super().__init__()
        self.classes = classes
        if size:
            self.embedding = nn.Embedding(classes, size)

    def forward(self, z, y):
        rows = self.embedding(y) if hasattr(self, "embedding") else nn.functional.one_hot(y, self.classes).to(z)
        return torch.cat([z, rows], 1)


class Conditional(nn.Module):
    def __init__(self, join, body):
        super().__init__()
        self.join, self.body = join, body

    def forward(self, z, y):
        return self.body(self.join(z, y))


def dense(sizes, activation, end, *, norm=None, first=(), bias=True, norm_after=None):
    layers = list(first)
    for inputs, outputs in zip(sizes[:-2], sizes[1:-1]):
        layers.append(nn.Linear(inputs, outputs, bias=bias))
        layers += [norm(outputs)] if norm else []
        layers.append(activation())
        layers += [norm_after(outputs)] if norm_after else []
    layers.append(nn.Linear(*sizes[-2:], bias=bias))
    return nn.Sequential(*layers, *end)


def leaky(slope):
    return lambda: nn.LeakyReLU(slope)


def up(channels, kernels, strides, paddings, activation=nn.ReLU, *, bias=True, last_bias=None, more=0):
    layers = []
    for i, (inputs, outputs) in enumerate(zip(channels, channels[1:])):
        is_last = i + 2 == len(channels)
        has_bias = last_bias if is_last and last_bias is not None else bias
        layers.append(nn.ConvTranspose2d(inputs, outputs, kernels[i], strides[i], paddings[i], more, bias=has_bias))
        layers += [nn.BatchNorm2d(outputs)] if not is_last else []
        layers.append(nn.Tanh() if is_last else activation())
    return nn.Sequential(*layers)


def down(channels, kernels, strides, paddings, *, bias=True, first_bias=None, norm_first=True, slope=0.2, end=()):
    layers = []
    for i, (inputs, outputs) in enumerate(zip(channels, channels[1:])):
        is_last = i + 2 == len(channels)
        has_bias = first_bias if i == 0 and first_bias is not None else bias
        layers.append(nn.Conv2d(inputs, outputs, kernels[i], strides[i], paddings[i], bias=has_bias))
        if not (is_last and outputs == 1):
            layers += [nn.BatchNorm2d(outputs)] if i > 0 or norm_first else []
            layers.append(nn.LeakyReLU(slope))
    return nn.Sequential(*layers, *end)


def tutorial(latent, widths, channels, base=4):
    count = len(widths)
    return up([latent, *widths, channels], [base] + [4] * count, [1] + [2] * count, [0] + [1] * count, bias=False)


@dataclass
class Case:
    repo: str
    file: str
    layers: str
    """Name in `networks`, or "dcgan" for the tutorial's."""
    module: nn.Module = None
    network: str = "generator"
    input: tuple = ()
    """Shape of the module's input, if it is not that of the layers."""
    options: list = field(default_factory=list)
    without: str = ""
    """Beginning of the names of tensors that the module does not use."""
    order: list = field(default_factory=list)
    """Beginnings of names in the order of the module, if the file has another."""
    classes: int = 0
    has_sigmoid: bool = False
    refused: str = ""
    """Words of the message, if the file is refused."""


GAN_VAE = "csinva/gan-vae-pretrained-pytorch"
FASHION = "syoopie/fashion-DCGAN"
FACES = "efleurine/faces-dcgan"
VANILLA = "abs51295/mnist-vanilla-gans"
BANGLA = "tonygms2/Deep-Convolutional-Generative-Adverserial-Network-for-Bangla-Handwritten-Text-Generation-"
WGAN = "creatovolve/Wasserstein-Generative-Adversarial-Network-WGAN--MNIST-Images"
PRELU = "tom-ph/Udacity_DeepLearning_HandWrittenDigitsGAN"
IMAGE = [nn.Unflatten(1, (1, 28, 28))]
TANH = [nn.Tanh(), *IMAGE]
FLAT = [nn.Flatten()]


def critic():
    return dense([784, 256, 256, 1], leaky(0.2), [], first=FLAT)


def narrow(slope=0.2):
    return dense([100, 32, 64, 128, 784], leaky(slope), TANH)


def fashion():
    conv = up([128, 64, 1], [5, 5], [2, 2], [2, 2], more=1)
    return nn.Sequential(nn.Linear(100, 6272), nn.ReLU(), nn.Unflatten(1, (128, 7, 7)), conv)


def faces():
    conv = up([128, 64, 32, 3], [4] * 3, [2] * 3, [1] * 3, bias=False)
    return nn.Sequential(nn.Linear(100, 2048), nn.Unflatten(1, (128, 4, 4)), conv)


def faces_critic():
    conv = down([3, 32, 64, 128], [4] * 3, [2] * 3, [1] * 3, bias=False, norm_first=False)
    return nn.Sequential(conv, nn.Flatten(), nn.Linear(2048, 1))


def faces_conv():
    first = [nn.ConvTranspose2d(100, 256, 4, bias=False), nn.BatchNorm2d(256)]
    second = [nn.Conv2d(256, 128, 3, 1, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2)]
    return nn.Sequential(*first, *second, up([128, 64, 32, 3], [4] * 3, [2] * 3, [1] * 3, leaky(0.2), bias=False, last_bias=True))


def faces_conv_critic():
    conv = down([3, 32, 64, 128, 256], [4] * 4, [2] * 4, [1] * 4, bias=False, first_bias=True, norm_first=False)
    return nn.Sequential(conv, nn.Flatten(), nn.Linear(1024, 1))


def wgan(latent):
    return up([latent, 256, 128, 64, 1], [3, 4, 3, 4], [2, 1, 2, 2], [0] * 4)


def wgan_critic(width):
    return down([1, width, 2 * width, 1], [4] * 3, [2] * 3, [0] * 3)


def narrow_conv():
    conv = up([32, 16, 8, 4, 1], [4, 3, 4, 3], [2, 1, 2, 1], [1] * 4)
    return nn.Sequential(nn.Linear(5, 1568), nn.Unflatten(1, (32, 7, 7)), conv)


def prelu(sizes, end, first=()):
    return nn.Sequential(*first, nn.Linear(*sizes[:2]), nn.PReLU(), nn.Linear(*sizes[1:]), *end)


def anime_critic():
    conv = down([3, 64, 128, 256], [2] * 3, [2] * 3, [0] * 3)
    plain = [layer for layer in conv if not isinstance(layer, nn.BatchNorm2d)]
    return nn.Sequential(*plain, nn.Flatten(), nn.Linear(4096, 1))


def batch_norms(sizes):
    return dense(sizes, nn.ReLU, [nn.BatchNorm1d(784), *TANH], norm=nn.BatchNorm1d)


D = "discriminator"
ORDER = [f"{name}." for name in ["fc", "deconv1", "bn1", "deconv2", "bn2", "deconv3", "bn3", "deconv4"]]


def eps_norm(features):
    return nn.BatchNorm1d(features, 0.8)


def cases():
    relu = lambda latent: dense([latent, 256, 256, 784], nn.ReLU, TANH)
    yield Case(GAN_VAE, "mnist_gan_mlp/weights/G--300.ckpt", "mlp-64-256-256-relu", relu(64))
    yield Case(GAN_VAE, "mnist_gan_mlp/weights/D--300.ckpt", "mlp-784-256-256-critic", critic(), D, (1, 28, 28))
    convs = down([1, 64, 128, 256, 1], [4] * 4, [2] * 4, [1] * 4, bias=False, norm_first=False)
    yield Case(GAN_VAE, "mnist_dcgan/weights/netD_epoch_99.pth", "dcgan-28-critic", convs, D, (1, 28, 28))
    decoder = dense([20, 400, 784], nn.ReLU, [nn.Sigmoid()])
    vae = "mnist_vae/weights/vae_epoch_25.pth"
    yield Case(GAN_VAE, vae, "vae-decoder", refused="no layer takes 6 tensors")
    yield Case(GAN_VAE, vae, "vae-decoder", decoder, options=["--allow-unused"], order=["fc3", "fc4"], has_sigmoid=True)
    lenet = "mnist_classifier/weights/lenet_epoch=12_test_acc=0.991.pth"
    yield Case(GAN_VAE, lenet, "dcgan", refused="is neither a convolution nor a batch norm")
    yield Case("Samu2304/Realistic-images-using-GAN", "G.pth", "mlp-64-256-256-relu", relu(64))
    yield Case("Samu2304/Realistic-images-using-GAN", "D.pth", "mlp-784-256-256-critic", critic(), D, (1, 28, 28))
    yield Case("YunHDan/GAN_Mnist", "generator.pth", "mlp-100-256-256-relu", relu(100))
    yield Case("YunHDan/GAN_Mnist", "discriminator.pth", "mlp-784-256-256-critic", critic(), D, (1, 28, 28))
    yield Case(VANILLA, "generator.pth", "mlp-100-32-64-128", narrow())
    yield Case(VANILLA, "generator_cgan.pth", "mlp-classes-10-10", Conditional(Join(10, 10), dense([110, 32, 64, 128, 784], leaky(0.2), TANH)), classes=10)
    yield Case(VANILLA, "discriminator.pth", "mlp-784-128-64-32-critic", dense([784, 128, 64, 32, 1], leaky(0.2), [], first=FLAT), D, (1, 28, 28))
    yield Case(FASHION, "model1/generator.pt", "mlp-100-32-64-128", narrow())
    yield Case(FASHION, "model2/generator.pt", "mlp-100-32-64-128-256", dense([100, 32, 64, 128, 256, 784], leaky(0.01), TANH))
    yield Case(FASHION, "model3/generator.pt", "mlp-batch-norm-after", dense([100, 512, 256, 128, 784], leaky(0.2), IMAGE, norm_after=nn.BatchNorm1d))
    yield Case(FASHION, "model4/generator.pt", "dense-conv-5x5", fashion())
    yield Case(FASHION, "generator.pt", "dense-conv-5x5", fashion())
    yield Case("Aman-Sunesh/Generating-Fashion-MNIST-Apparel-using-DCGANs-", "G.pth", "dcgan", tutorial(100, [128, 64], 1, 7), input=(100, 1, 1))
    for name in ["generator", "generator05", "generator2", "generator40"]:
        yield Case(FACES, f"{name}.pt", "faces-32", faces(), options=["--allow-unused"], without="batch_norm_fc")
    yield Case(FACES, "generator.pt", "faces-32", refused="no layer takes 4 tensors")
    yield Case(FACES, "generator11.pt", "faces-32", faces())
    yield Case(FACES, "discriminator40.pt", "faces-32-critic", faces_critic(), D, (3, 32, 32))
    yield Case("fletchersarip93/face-generator", "generator.pt", "faces-32-conv", faces_conv(), input=(100, 1, 1))
    yield Case("fletchersarip93/face-generator", "discriminator.pt", "faces-32-conv-critic", faces_conv_critic(), D, (3, 32, 32))
    yield Case("dennisjooo/DCGAN-on-MNIST", "models/generator.pth", "dcgan-28-3x3", up([100, 128, 64, 32, 1], [4, 3, 4, 4], [1, 2, 2, 2], [0, 1, 1, 1], leaky(0.2), bias=False), input=(100, 1, 1))
    yield Case("dennisjooo/DCGAN-on-MNIST", "models/discriminator.pth", "dcgan-28-3x3-critic", down([1, 32, 64, 128, 1], [4, 4, 3, 4], [2, 2, 2, 1], [1, 1, 1, 0], bias=False, norm_first=False), D, (1, 28, 28))
    yield Case("dennisjooo/DCGAN-on-MNIST", "models/generator.pkl", "dcgan", refused="only arrays of NumPy")
    yield Case("akanametov/WGAN-GP", "models/generator.pt", "wgan-28", wgan(64), input=(64, 1, 1))
    yield Case("akanametov/WGAN-GP", "models/critic.pt", "wgan-28-critic", wgan_critic(64), D, (1, 28, 28))
    yield Case(BANGLA, "generator.pt", "wgan-28-latent-100", wgan(100), input=(100, 1, 1))
    yield Case(BANGLA, "discriminator.pt", "wgan-28-narrow-critic", wgan_critic(16), D, (1, 28, 28))
    yield Case(BANGLA, "generatorOptimizer.pt", "dcgan", refused="state of an optimizer")
    yield Case("BadGuy-wang/ACGAN_mnist", "G.pkl", "conv-28-bias", up([100, 256, 128, 64, 1], [4, 3, 4, 4], [1, 2, 2, 2], [0, 1, 1, 1]), input=(100, 1, 1))
    yield Case("BadGuy-wang/ACGAN_mnist", "D.pkl", "dcgan", network=D, refused="is neither a convolution nor a batch norm")
    yield Case("laksi1999/gan-synthetic-digit", "G.pkl", "mlp-100-392-leaky", dense([100, 392, 784], leaky(0.01), TANH))
    yield Case("ashish-dalal/simple_GAN_for_MNIST_dataset", "models/generator.pth", "mlp-64-256-leaky", dense([64, 256, 784], leaky(0.1), TANH))
    yield Case("ashish-dalal/simple_GAN_for_MNIST_dataset", "models/discriminator.pth", "mlp-784-128-critic", dense([784, 128, 1], leaky(0.1), [], first=FLAT), D, (1, 28, 28))
    yield Case("bolero2/gan-pytorch", "generator.pt", "mlp-layer-norm", dense([100, 200, 784], leaky(0.02), TANH, norm_after=nn.LayerNorm))
    yield Case("bronya-y/GAN", "G.pth", "mlp-100-32-64-128", refused="expects [32, 100], the file has [100, 10]")
    yield Case("bronya-y/GAN", "gan mnist/D250.pth", "mlp-elu-critic", dense([784, 128, 128, 1], nn.ELU, [], first=FLAT), D, (1, 28, 28))
    yield Case(WGAN, "models/generator.pth", "narrow-28", narrow_conv(), order=ORDER)
    yield Case(WGAN, "models/generator_hyperparameter2.pth", "narrow-28", narrow_conv(), order=ORDER)
    yield Case("MultiTrickFox/DCWGAN", "generator.pkl", "dcgan", refused="neither lead from vectors to images")
    yield Case("shivakanthsujit/GAN-PyTorch", "models/generator.pth", "points-5-16-16", dense([5, 16, 16, 2], nn.ReLU, []))
    yield Case("shivakanthsujit/GAN-PyTorch", "models/discriminator.pth", "points-critic", dense([2, 16, 16, 1], leaky(0.2), []), D, (2,))
    yield Case("shivakanthsujit/GAN-PyTorch", "models/g_optimizer.pth", "points-5-16-16", refused="state of an optimizer")
    yield Case(PRELU, "generator.pt", "mlp-prelu", prelu([128, 512, 784], TANH))
    yield Case(PRELU, "discriminator.pt", "mlp-prelu-critic", prelu([784, 512, 1], [], FLAT), D, (1, 28, 28))
    yield Case(PRELU, "train_samples.pkl", "mlp-prelu", refused="is a pickle")
    yield Case("Gabrikon/mnist_gen", "generator.pt", "mlp-classes-one-hot", Conditional(Join(10), dense([110, 128, 256, 784], nn.ReLU, TANH)), classes=10)
    yield Case("shanjida101/digit-generator", "generator.pt", "mlp-classes-10-100", Conditional(Join(10, 100), dense([200, 256, 512, 784], nn.ReLU, TANH)), classes=10)
    yield Case("lonard2/mnist-like-digit-app", "models/generator.pth", "mlp-classes-10-100", refused="expects [256, 200], the file has [256, 100]")
    yield Case("jefftorres/mnist-gen", "models/generator.pt", "mlp-batch-norm-eps", dense([100, 128, 256, 512, 784], leaky(0.2), TANH, norm=eps_norm, bias=False))
    yield Case("hiooooopji/shapes", "models/generator.pth", "shapes-100-128-256", dense([100, 128, 256, 20], nn.ReLU, []))
    yield Case("jayyang3/simple-gan", "models/generator.pth", "mlp-batch-norm-last", batch_norms([128, 256, 512, 784]))
    yield Case("ensaremirerol/pytorch-anigan", "generator.pt", "dcgan", tutorial(100, [128, 64, 32], 3), input=(100, 1, 1))
    yield Case("ensaremirerol/pytorch-anigan", "discriminator.pt", "anime-32-critic", anime_critic(), D, (3, 32, 32))
    yield Case("ErikLundin98/GAN-image-generator", "models/generator.pth", "dcgan", tutorial(16, [128, 128, 128, 64], 3), input=(16, 1, 1))
    yield Case("ErikLundin98/GAN-image-generator", "models/discriminator.pth", "dcgan", down([3, 64, 128, 128, 128, 1], [4] * 5, [2, 2, 2, 2, 1], [1, 1, 1, 1, 0], bias=False), D, (3, 64, 64))
    yield Case("chris-william0829/advGAN-MNIST", "G.pth", "dcgan", refused="PyTorch's tutorial")
    yield Case("ayjab/wgan_mnist", "generator_model.h5", "dcgan", refused="HDF5")
    yield Case("VineethVuyyuru/HW_Digit_Image_Generator", "generator.h5", "dcgan", refused="HDF5")
    yield Case("a2kiti/ConvTranspose2d_for_ONNX", "netG.onnx", "dcgan", refused="ONNX")
    yield Case("Trickshotblaster/gan-demo", "models/generator.pth", "dcgan", refused="git lfs pull")


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


@torch.no_grad()
def compare(case, path, gan, folder):
    state = state_of(path)
    values = [(name, value) for name, value in state.items() if not name.endswith("num_batches_tracked")]
    values = [(name, value) for name, value in values if not case.without or not name.startswith(case.without)]
    if case.order:
        values = [item for start in case.order for item in values if item[0].startswith(start)]
    module = case.module.eval()
    own = [(name, value) for name, value in module.state_dict().items() if not name.endswith("num_batches_tracked")]
    assert len(own) == len(values), (len(own), len(values))
    for (_, to), (_, value) in zip(own, values):
        assert to.shape == value.shape, (to.shape, value.shape)
        to.copy_(value)
    torch.manual_seed(0)
    imported = folder / "imported.safetensors"
    done = run(gan, "export", imported, "--out", folder / "net.py")
    assert done.returncode == 0, done.stderr
    spec = importlib.util.spec_from_file_location("exported", folder / "net.py")
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    classes = [torch.arange(8) % case.classes] if case.classes else []
    if case.network == "generator":
        # The size of the latent vectors is that of the module's first layer.
        first = next(layer for layer in module.modules() if isinstance(layer, (nn.Linear, nn.ConvTranspose2d)))
        size = getattr(first, "in_features", None) or first.in_channels
        size -= case.classes and module.join(torch.zeros(1, 0), torch.zeros(1, dtype=torch.long)).shape[1]
        x = torch.randn(8, size)
        inputs = x.reshape(8, *(case.input or (size,)))
    else:
        x = inputs = torch.rand(8, *case.input) * 2 - 1

    def outputs(inputs):
        made = module(inputs, *classes).reshape(8, -1)
        return 2 * made - 1 if case.has_sigmoid else made

    plain = outputs(inputs)
    module.double()
    expected = outputs(inputs.double())
    scale = max(1.0, float(expected.abs().max()))
    apart = lambda found: float((found.reshape(8, -1) - expected).abs().max() / scale)
    found = {"f64": apart(exported.load().double()(x.double(), *classes))}
    if case.network == "generator":
        np.save(folder / "z.npy", x.numpy())
        done = run(gan, "generate", imported, "--latents", folder / "z.npy", "--out", folder / "x.npy")
        assert done.returncode == 0, done.stderr
        found |= {"f32": apart(torch.from_numpy(np.load(folder / "x.npy"))), "PyTorch f32": apart(plain)}
    return found


def check(case, folder, gan):
    path = folder / case.repo.replace("/", "+") / case.file
    if not path.exists():
        return None
    layers = ["--tutorial", "dcgan"] if case.layers == "dcgan" else ["--layers", NETWORKS / f"{case.layers}.toml"]
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        command = [gan, "import", path, *layers, "--network", case.network, "--out", work / "imported.safetensors", *case.options]
        done = run(*command)
        summary = run(gan, "summary", path)
        assert done.returncode in (0, 1, 2) and summary.returncode in (0, 1, 2), (done.stderr, summary.stderr)
        kind = summary.stdout.splitlines()[0].split(": ")[-1].removeprefix("a file by ") if summary.stdout else ""
        if case.module is None:
            first = done.stderr.splitlines()[0].removeprefix("error: ").removeprefix(f"{path}: ") if done.stderr else ""
            is_refused = done.returncode != 0 and case.refused in done.stderr and list(work.iterdir()) == []
            reason = first.split("; ")[0]
            reason = reason.split(": ")[0] if reason.startswith(("is a", "no layer")) else reason
            return is_refused, kind, f"refused: {reason}"
        if done.returncode != 0:
            return False, kind, done.stderr
        found = compare(case, path, gan, work)
        is_equal = all(found.get(name, 0.0) <= most for name, most in MOST.items())
        return is_equal, kind, "equal: " + ", ".join(f"{name} {difference:.1e}" for name, difference in found.items())


def main(folder, gan):
    failed = 0
    for case in cases():
        try:
            result = check(case, Path(folder), Path(gan).resolve())
        except Exception as error:
            result = False, "", repr(error)
        if result is None:
            continue
        is_right, kind, text = result
        failed += not is_right
        layers = "`--tutorial dcgan`" if case.layers == "dcgan" else f"`{case.layers}.toml`"
        options = f" `{' '.join(case.options)}`" if case.options else ""
        print(f"| {case.repo} | `{case.file}` | {kind} | {layers}{options} | {text}{'' if is_right else ' **FAILED**'} |", flush=True)
    sys.exit(f"{failed} failed" if failed else None)


if __name__ == "__main__":
    main(*sys.argv[1:])
