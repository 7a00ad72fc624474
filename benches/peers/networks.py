"""The presets' networks in PyTorch."""
import torch.nn as nn


class To(nn.Module):
    def __init__(self, f): super().__init__(); self.f = f
    def forward(self, x): return self.f(x)


def dcgan(side, channels, width, latent=100):
    """A DCGAN: base side 4 to 7, doubled k times, with the widths width*2^(k-1) … width, and channels."""
    base = side
    while base > 7: base //= 2
    k = (side // base).bit_length() - 1
    w = [width * 2 ** (k - 1 - i) for i in range(k)] + [channels]
    g = [nn.ConvTranspose2d(latent, w[0], base, 1, 0, bias=False)]
    for i in range(k):
        g += [nn.BatchNorm2d(w[i]), nn.ReLU(True), nn.ConvTranspose2d(w[i], w[i + 1], 4, 2, 1, bias=False)]
    r = w[::-1]; d = []
    for i in range(k):
        d += [nn.Conv2d(r[i], r[i + 1], 4, 2, 1, bias=False)] + ([nn.BatchNorm2d(r[i + 1])] if i else []) + [nn.LeakyReLU(0.2, True)]
    d += [nn.Conv2d(r[k], 1, base, 1, 0, bias=False), nn.Flatten(0)]
    return nn.Sequential(*g, nn.Tanh()), nn.Sequential(*d), (latent, 1, 1), (channels, side, side)


def keras28():
    bn = lambda: nn.BatchNorm2d(128, eps=1e-3, momentum=0.01)
    g = nn.Sequential(nn.Linear(100, 6272), To(lambda x: x.view(-1, 128, 7, 7)), nn.ConvTranspose2d(128, 128, 4, 2, 1), bn(), nn.LeakyReLU(0.01),
                      nn.ConvTranspose2d(128, 128, 4, 2, 1), bn(), nn.LeakyReLU(0.01), nn.Conv2d(128, 1, 7, padding=3), nn.Tanh())
    d = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(1, 64, 3, 2), nn.LeakyReLU(0.01), nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(64, 128, 3, 2),
                      nn.LeakyReLU(0.01), To(lambda x: x.amax((2, 3))), nn.Linear(128, 1), nn.Flatten(0))
    return g, d, (100,), (1, 28, 28)


def mlp(*n):
    m = []
    for i in range(len(n) - 1): m += [nn.Linear(n[i], n[i + 1])] + ([nn.LeakyReLU(0.2)] if i < len(n) - 2 else [])
    return nn.Sequential(*m)
