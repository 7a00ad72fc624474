"""Networks in PyTorch, built from the layers that `gan preset show NAME --full` prints.

`build(layers, shape)` takes the layers of one network as Python reads them from TOML and the shape of one sample, and returns the module,
whose `forward(x, classes)` takes a batch and its classes, and the shape of its output.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.parametrizations import spectral_norm


class Function(nn.Module):
    """A layer without parameters."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class ConcatClass(nn.Module):
    """Appends a one-hot class, or its embedding, to the channels."""

    def __init__(self, classes, embedding):
        super().__init__()
        self.classes = classes
        self.embedding = nn.Embedding(classes, embedding) if embedding else None

    def forward(self, x, classes):
        code = self.embedding(classes) if self.embedding else F.one_hot(classes, self.classes).to(x.dtype)
        return torch.cat([x, code.view(*code.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])], 1)


class Projection(nn.Module):
    """D's head of a projection discriminator."""

    def __init__(self, features, classes):
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.embedding = nn.Embedding(classes, features)

    def forward(self, x, classes):
        return self.linear(x) + (self.embedding(classes) * x).sum(1, keepdim=True)


class Residual(nn.Module):
    def __init__(self, residual, skip):
        super().__init__()
        self.residual, self.skip = residual, skip

    def forward(self, x, classes):
        return self.residual(x, classes) + self.skip(x, classes)


class Network(nn.Module):
    """Layers in sequence, of which some take the classes."""

    TAKES_CLASSES = (ConcatClass, Projection, Residual)

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x, classes):
        for layer in self.layers:
            x = layer(x, classes) if isinstance(layer, self.TAKES_CLASSES) else layer(x)
        return x


def pair(value):
    return tuple(value) if isinstance(value, list) else (value, value)


def padding_of(settings, side):
    """Returns the rows and columns around an image as [left, right, top, bottom]."""
    padding = settings.get("padding", 0)
    if padding != "same":
        top, left = pair(padding)
        return [left, left, top, top]
    kernel, stride = pair(settings["kernel"]), pair(settings.get("stride", 1))
    total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(side, kernel, stride)]
    return [total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2]


def convolution(shape, outputs, settings, norm):
    left, right, top, bottom = padding_of(settings, shape[1:])
    symmetric = (left, top) == (right, bottom)
    conv = nn.Conv2d(
        shape[0], outputs, pair(settings["kernel"]), pair(settings.get("stride", 1)), (top, left) if symmetric else 0,
        pair(settings.get("dilation", 1)), settings.get("groups", 1), settings.get("bias", True),
    )
    return ([] if symmetric else [nn.ZeroPad2d((left, right, top, bottom))]) + [norm(conv)]


def transposed_convolution(shape, outputs, settings, norm):
    kernel, stride, padding = pair(settings["kernel"]), pair(settings.get("stride", 1)), settings.get("padding", 0)
    extra = pair(settings.get("output_padding", 0))
    if padding == "same":
        padding = [-(-(k - s) // 2) for k, s in zip(kernel, stride)]
        extra = [2 * p - (k - s) for p, k, s in zip(padding, kernel, stride)]
    bias = settings.get("bias", True)
    return [norm(nn.ConvTranspose2d(shape[0], outputs, kernel, stride, pair(padding), extra, bias=bias))]


def blur_pool(x, step):
    """Keeps every `step`-th pixel after a blur with [1, 3, 3, 1] / 8 in both directions."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], device=x.device, dtype=x.dtype) / 8
    kernel = (row[:, None] * row).expand(x.shape[1], 1, 4, 4)
    before = 2 - step // 2
    height, width = x.shape[2] // step, x.shape[3] // step
    after = [(out - 1) * step + 4 - before - side for out, side in ((width, x.shape[3]), (height, x.shape[2]))]
    return F.conv2d(F.pad(x, (before, after[0], before, after[1])), kernel, stride=step, groups=x.shape[1])


def modules(name, value, settings, shape, norm, all_norm):
    """Returns the modules of one layer."""
    if name == "dense":
        return [norm(nn.Linear(shape[0], value, settings.get("bias", True)))]
    if name == "conv":
        return convolution(shape, value, settings, norm)
    if name == "conv_transpose":
        return transposed_convolution(shape, value, settings, norm)
    if name == "batch_norm":
        kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return [kind(shape[0], eps=value.get("eps", 1e-5), momentum=value.get("momentum", 0.1))]
    if name == "residual":
        branches = [build(layers, shape, all_norm)[0] for layers in (value, settings.get("skip", []))]
        return [Residual(*branches)]
    if name == "zero_pad":
        top, bottom, left, right = value if isinstance(value, list) else [value] * 4
        return [nn.ZeroPad2d((left, right, top, bottom))]
    others = {
        "relu": lambda: nn.ReLU(),
        "leaky_relu": lambda: nn.LeakyReLU(value),
        "tanh": lambda: nn.Tanh(),
        "sigmoid": lambda: nn.Sigmoid(),
        "dropout": lambda: nn.Dropout(value),
        "flatten": lambda: nn.Flatten(),
        "reshape": lambda: nn.Unflatten(1, value) if len(shape) == 1 else Function(lambda x: x.reshape(-1, *value)),
        "upsample": lambda: nn.Upsample(scale_factor=value),
        "bilinear": lambda: nn.Upsample(scale_factor=value, mode="bilinear"),
        "avg_pool": lambda: nn.AvgPool2d(value),
        "blur_pool": lambda: Function(lambda x: blur_pool(x, value)),
        "global_avg_pool": lambda: Function(lambda x: x.mean((2, 3))),
        "global_max_pool": lambda: Function(lambda x: x.amax((2, 3))),
        "concat_class": lambda: ConcatClass(value, settings.get("embedding")),
        "projection": lambda: Projection(shape[0], value),
        "auxiliary": lambda: nn.Linear(shape[0], value + 1),
    }
    if name not in others:
        raise SystemExit(f"networks.py has no layer {name}")
    return [others[name]()]


def build(layers, shape, all_norm=False):
    """Returns the network of `layers` for samples of `shape`, and the shape of its output; with `all_norm`, every kernel has spectral norm."""
    parts = []
    for layer in layers:
        settings = {} if isinstance(layer, str) else layer
        name, value = (layer, None) if isinstance(layer, str) else next(iter(layer.items()))
        has_norm = all_norm or settings.get("spectral_norm", False)
        new = modules(name, value, settings, shape, spectral_norm if has_norm else (lambda module: module), all_norm)
        probe = Network(new).eval()
        with torch.no_grad():
            shape = list(probe(torch.zeros(2, *shape), torch.zeros(2, dtype=torch.long)).shape[1:])
        parts += new
    return Network(parts).train(), shape
