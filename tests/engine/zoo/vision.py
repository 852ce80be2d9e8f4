"""Small models of pictures: convolutions, patches, windows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.engine.zoo.cases import Function, Made, Register

VISION = Register()


def picture(channels: int = 3, size: int = 12) -> Tensor:
    """A smooth scene with edges, in [0, 1], normalised as pictures are."""
    coarse = F.interpolate(torch.rand(1, channels, 4, 4), size=(size, size), mode="bicubic")
    coarse[..., size // 3 :, : size // 2] += 0.4
    return (coarse.clamp(0, 1) - 0.45) / 0.25


BLACK = -0.45 / 0.25


def settle(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Running statistics of batch norms as after training: those of inputs."""
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.cat([picture(shape[0], shape[1]) for _ in range(16)]))
    return model.eval()


def conv(inside: int, outside: int, kernel: int = 3, **more: int) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, kernel, padding=kernel // 2, **more)


def head(features: int, classes: int = 5) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes))


class Residual(nn.Module):
    def __init__(self, *layers: nn.Module, after: nn.Module | None = None) -> None:
        super().__init__()
        self.inner = nn.Sequential(*layers)
        self.after = after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(x + self.inner(x))


@VISION("plain CNN", kinked=True)
def cnn_relu() -> Made:
    model = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 16, stride=2), nn.ReLU(), conv(16, 16), nn.ReLU(), head(16))
    return Made(model, picture(), BLACK, 1)


@VISION("plain CNN", kinked=True)
def cnn_leaky_flat() -> Made:
    model = nn.Sequential(
        conv(1, 6, 5), nn.LeakyReLU(), nn.AvgPool2d(2), conv(6, 12), nn.LeakyReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(108, 20), nn.LeakyReLU(), nn.Linear(20, 10),
    )  # fmt: skip
    return Made(model, picture(1), 0.0, 3)


@VISION("plain CNN")
def cnn_gelu() -> Made:
    model = nn.Sequential(conv(3, 8), nn.GELU(), conv(8, 16, stride=2), nn.GELU(), conv(16, 16), nn.GELU(), head(16))
    return Made(model, picture(), BLACK, 1)


@VISION("plain CNN", kinked=True)
def cnn_half() -> Made:
    model = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 8, stride=2), nn.ReLU(), head(8)).to(torch.bfloat16)
    return Made(model, picture().to(torch.bfloat16), 0.0, 1)


@VISION("ResNet", kinked=True)
def resnet() -> Made:
    def block(width: int) -> Residual:
        layers = conv(width, width), nn.BatchNorm2d(width), nn.ReLU(), conv(width, width), nn.BatchNorm2d(width)
        return Residual(*layers, after=nn.ReLU())

    model = nn.Sequential(
        conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), block(8), conv(8, 12, stride=2), block(12), head(12)
    )
    return Made(settle(model, (3, 12)), picture(), 0.0, 2)


@VISION("ResNet", kinked=True)
def resnet_preact_softmax() -> Made:
    def block(width: int) -> Residual:
        return Residual(
            nn.BatchNorm2d(width), nn.ReLU(), conv(width, width), nn.BatchNorm2d(width), nn.ReLU(), conv(width, width)
        )

    model = nn.Sequential(conv(3, 8), block(8), block(8), head(8), nn.Softmax(-1))
    return Made(settle(model, (3, 12)), picture(), BLACK, 2)


class Dense(nn.Module):
    def __init__(self, inside: int, growth: int, depth: int, inplace: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(inside + i * growth), nn.ReLU(inplace=inplace), conv(inside + i * growth, growth)
            )
            for i in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


@VISION("DenseNet", kinked=True)
def densenet() -> Made:
    model = nn.Sequential(
        conv(3, 8), Dense(8, 4, 3, False), conv(20, 10, 1), nn.AvgPool2d(2), Dense(10, 4, 3, True), nn.ReLU(), head(22)
    )
    return Made(settle(model, (3, 12)), picture(), 0.0, 0)


@VISION("DenseNet", kinked=True)
def densenet_small_logit() -> Made:
    model = nn.Sequential(conv(3, 8), Dense(8, 8, 3, False), head(32))
    return Made(settle(model, (3, 16)), 0.3 * picture(3, 16), 0.0, 1)


class ChannelsLastNorm(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@VISION("ConvNeXt", singular="0")
def convnext() -> Made:
    def block(width: int) -> Residual:
        return Residual(
            conv(width, width, 5, groups=width),
            ChannelsLastNorm(width),
            conv(width, 3 * width, 1),
            nn.GELU(),
            conv(3 * width, width, 1),
        )

    stem = nn.Conv2d(3, 12, 2, 2)
    nn.init.zeros_(stem.bias)
    model = nn.Sequential(stem, ChannelsLastNorm(12), block(12), block(12), head(12))
    return Made(model, picture(), 0.0, 1)


@VISION("ConvNeXt")
def convnext_biased_stem() -> Made:
    stem = nn.Conv2d(3, 12, 2, 2)
    block = Residual(conv(12, 12, 5, groups=12), ChannelsLastNorm(12), conv(12, 24, 1), nn.GELU(), conv(24, 12, 1))
    return Made(nn.Sequential(stem, ChannelsLastNorm(12), block, head(12)), picture(), BLACK, 1)


class SqueezeExcite(nn.Module):
    def __init__(self, width: int, gate: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(width, 4, 1), act, conv(4, width, 1), gate)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.squeeze(x)


def inverted(width: int, act: type[nn.Module], gate: nn.Module) -> Residual:
    wide = 3 * width
    return Residual(
        conv(width, wide, 1), nn.BatchNorm2d(wide), act(), conv(wide, wide, groups=wide), nn.BatchNorm2d(wide), act(),
        SqueezeExcite(wide, gate, act()), conv(wide, width, 1), nn.BatchNorm2d(width),
    )  # fmt: skip


@VISION("MobileNet", kinked=True)
def mobilenet_hardswish() -> Made:
    model = nn.Sequential(
        conv(3, 6), nn.BatchNorm2d(6), nn.Hardswish(), inverted(6, nn.Hardswish, nn.Hardsigmoid()), head(6)
    )
    return Made(settle(model, (3, 12)), picture(), 0.0, 2)


@VISION("MobileNet", kinked=True)
def mobilenet_relu6() -> Made:
    model = nn.Sequential(
        conv(3, 6),
        nn.BatchNorm2d(6),
        nn.ReLU6(),
        conv(6, 6, groups=6),
        nn.BatchNorm2d(6),
        nn.ReLU6(),
        conv(6, 12, 1),
        nn.ReLU6(),
        head(12),
    )
    return Made(settle(model, (3, 12)), 2 * picture(), BLACK, 2)


@VISION("EfficientNet")
def efficientnet_silu() -> Made:
    model = nn.Sequential(
        conv(3, 6),
        nn.BatchNorm2d(6),
        nn.SiLU(),
        inverted(6, nn.SiLU, nn.Sigmoid()),
        inverted(6, nn.SiLU, nn.Sigmoid()),
        head(6),
    )
    return Made(settle(model, (3, 12)), picture(), 0.0, 2)


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.below = conv(1, 6), conv(6, 12)
        self.up = nn.ConvTranspose2d(12, 6, 2, 2)
        self.last = nn.Sequential(conv(12, 6), nn.ReLU(), conv(6, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        top = F.relu(self.down(x))
        low = F.relu(self.below(F.max_pool2d(top, 2)))
        return self.last(torch.cat([top, self.up(low)], 1))


@VISION("U-Net", kinked=True)
def unet_pixel() -> Made:
    return Made(UNet(), picture(1), BLACK, (1, 6, 6))


@VISION("U-Net", kinked=True)
def unet_area() -> Made:
    return Made(Function(lambda self, x: self.parts[0](x).softmax(1)[:, 1].mean((1, 2)), UNet()), picture(1), 0.0)


@VISION("VGG", kinked=True)
def vgg_max_pool() -> Made:
    model = nn.Sequential(
        conv(3, 8), nn.ReLU(True), nn.MaxPool2d(2), conv(8, 12), nn.ReLU(True), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(108, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 6),
    )  # fmt: skip
    return Made(model, picture(), BLACK, 4)


@VISION("instance norm on black", kinked=True, singular="0")
def conv_instance_norm() -> Made:
    model = nn.Sequential(conv(3, 8, bias=False), nn.InstanceNorm2d(8), nn.ReLU(), conv(8, 8), nn.ReLU(), head(8))
    return Made(model, picture(), 0.0, 1)


@VISION("instance norm on black", singular="0")
def style_instance_norm() -> Made:
    model = nn.Sequential(nn.InstanceNorm2d(3, affine=True), conv(3, 8), nn.SiLU(), head(8))
    return Made(model, picture() + 1.8, 0.0, 1)


@VISION("group norm", singular="0")
def group_norm_behind_convolution() -> Made:
    model = nn.Sequential(
        conv(3, 8, bias=False), nn.GroupNorm(2, 8), nn.SiLU(), conv(8, 8), nn.GroupNorm(2, 8), nn.SiLU(), head(8)
    )
    return Made(model, picture(), 0.0, 1)


@VISION("group norm", kinked=True)
def group_norm_from_grey() -> Made:
    model = nn.Sequential(conv(3, 8), nn.GroupNorm(4, 8), nn.ReLU(), conv(8, 8), nn.GroupNorm(4, 8), nn.ReLU(), head(8))
    return Made(model, picture(), BLACK, 1)


@VISION("depth-wise separable", kinked=True)
def xception_like() -> Made:
    model = nn.Sequential(
        conv(3, 3, groups=3), conv(3, 12, 1), nn.ReLU(), conv(12, 12, groups=12), conv(12, 12, 1), nn.ReLU(), head(12)
    )
    return Made(model, picture(), 0.0, 1)


class Tokens(nn.Module):
    """Patches as tokens, with a class token and positions where asked for."""

    def __init__(self, width: int, size: int, patch: int, classes: bool = True) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2 + classes, width))
        self.first = nn.Parameter(0.02 * torch.randn(1, 1, width)) if classes else None

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        if self.first is not None:
            tokens = torch.cat([self.first.expand(len(x), -1, -1), tokens], 1)
        return tokens + self.position


def encoder(width: int, heads: int, act: str = "gelu", first: bool = True, depth: int = 2) -> nn.Module:
    layer = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, act, batch_first=True, norm_first=first)
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


@VISION("ViT")
def vit() -> Made:
    model = Function(
        lambda self, x: self.parts[2](self.parts[1](self.parts[0](x))[:, 0]),
        Tokens(16, 12, 3),
        encoder(16, 2),
        nn.Linear(16, 5),
    )
    return Made(model, picture(), BLACK, 1)


@VISION("ViT", kinked=True)
def vit_relu_mean_pool() -> Made:
    model = Function(
        lambda self, x: self.parts[2](self.parts[1](self.parts[0](x)).mean(1)),
        Tokens(16, 12, 3, False), encoder(16, 4, "relu", False), nn.Linear(16, 5),
    )  # fmt: skip
    return Made(model, picture(), 0.0, 1)


class WindowAttention(nn.Module):
    def __init__(self, width: int, window: int, shift: int) -> None:
        super().__init__()
        self.norm, self.qkv, self.project = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.window, self.shift = window, shift
        self.bias = nn.Parameter(0.02 * torch.randn(window**2, window**2))

    def forward(self, x: Tensor) -> Tensor:
        rows, height, width, channels = x.shape
        k = self.window
        y = torch.roll(self.norm(x), (-self.shift, -self.shift), (1, 2))
        y = y.view(rows, height // k, k, width // k, k, channels).transpose(2, 3).reshape(-1, k * k, channels)
        q, key, value = self.qkv(y).chunk(3, -1)
        y = (q @ key.transpose(1, 2) / channels**0.5 + self.bias).softmax(-1) @ value
        y = self.project(y).view(rows, height // k, width // k, k, k, channels).transpose(2, 3).reshape(x.shape)
        return x + torch.roll(y, (self.shift, self.shift), (1, 2))


def swin_model(bias: bool) -> nn.Module:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        patches, norm, one, two, mlp, last = self.parts
        y = norm(patches(x).permute(0, 2, 3, 1))
        return last(mlp(two(one(y))).mean((1, 2)))

    mlp = Residual(nn.LayerNorm(12), nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
    return Function(
        forward,
        nn.Conv2d(3, 12, 2, 2, bias=bias),
        nn.LayerNorm(12),
        WindowAttention(12, 3, 0),
        WindowAttention(12, 3, 1),
        mlp,
        nn.Linear(12, 5),
    )


@VISION("Swin", singular="0")
def swin_no_bias() -> Made:
    return Made(swin_model(False), picture(), 0.0, 1)


@VISION("Swin")
def swin_from_black() -> Made:
    return Made(swin_model(True), picture(), BLACK, 1)


class Mixer(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.one, self.two = nn.LayerNorm(width), nn.LayerNorm(width)
        self.across = nn.Sequential(nn.Linear(tokens, 24), nn.GELU(), nn.Linear(24, tokens))
        self.within = nn.Sequential(nn.Linear(width, 24), nn.GELU(), nn.Linear(24, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(self.one(x).transpose(1, 2)).transpose(1, 2)
        return x + self.within(self.two(x))


@VISION("MLP-Mixer")
def mlp_mixer() -> Made:
    model = Function(
        lambda self, x: self.parts[3](self.parts[2](self.parts[1](self.parts[0](x))).mean(1)),
        Tokens(16, 12, 3, False),
        Mixer(16, 16),
        Mixer(16, 16),
        nn.Linear(16, 5),
    )
    return Made(model, picture(), 0.0, 1)


@VISION("spatial transformer", kinked=True)
def spatial_transformer() -> Made:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        theta = torch.eye(2, 3).to(x) + 0.1 * self.parts[0](x).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return self.parts[1](F.grid_sample(x, grid, align_corners=False))

    find = nn.Sequential(nn.Flatten(), nn.Linear(144, 16), nn.Tanh(), nn.Linear(16, 6))
    return Made(Function(forward, find, nn.Sequential(conv(1, 6), nn.ReLU(), head(6))), picture(1), 0.0, 1)


@VISION("depth to space", kinked=True)
def super_resolution() -> Made:
    model = nn.Sequential(conv(1, 8), nn.PReLU(), conv(8, 4), nn.PixelShuffle(2), nn.Flatten(1))
    return Made(model, picture(1), 0.0, 200)


@VISION("variational autoencoder")
def autoencoder_error() -> Made:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        return (self.parts[0](x) - x.flatten(1)).square().mean(1)

    code = nn.Sequential(
        nn.Flatten(), nn.Linear(144, 24), nn.SiLU(), nn.Linear(24, 4), nn.Linear(4, 24), nn.SiLU(), nn.Linear(24, 144)
    )
    return Made(Function(forward, code), picture(1), BLACK)


@VISION("local response norm", kinked=True)
def alexnet_like() -> Made:
    model = nn.Sequential(
        conv(3, 8), nn.ReLU(), nn.LocalResponseNorm(3, alpha=0.1), nn.MaxPool2d(3, 2), conv(8, 8), nn.ReLU(), head(8)
    )
    return Made(model, picture(), 0.0, 1)
