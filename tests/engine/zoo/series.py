"""Small models of series: recurrent, temporal convolutions, audio."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.engine.zoo.cases import Function, Made, Register

SERIES = Register()


def series(length: int = 12, channels: int = 4) -> Tensor:
    return torch.randn(1, length, channels).cumsum(1) / 2


class Recurrent(nn.Module):
    """A recurrent layer, and a head on its last state, or on a mean by attention."""

    def __init__(self, cell: nn.RNNBase, classes: int = 3, attention: bool = False) -> None:
        super().__init__()
        width = cell.hidden_size * (1 + cell.bidirectional)
        self.cell, self.last = cell, nn.Linear(width, classes)
        self.score = nn.Linear(width, 1) if attention else None

    def forward(self, x: Tensor) -> Tensor:
        states = self.cell(x)[0]
        if self.score is None:
            return self.last(states[:, -1] if self.cell.batch_first else states[-1])
        return self.last((self.score(states.tanh()).softmax(1) * states).sum(1))


@SERIES("LSTM")
def lstm() -> Made:
    return Made(Recurrent(nn.LSTM(4, 12, batch_first=True)), series(), 0.0, 1)


@SERIES("LSTM")
def lstm_large_weights() -> Made:
    model = Recurrent(nn.LSTM(4, 12, batch_first=True))
    for parameter in model.parameters():
        parameter.data *= 4
    return Made(model, series(20), 0.0, 1)


@SERIES("LSTM")
def lstm_bidirectional_two_layers() -> Made:
    return Made(Recurrent(nn.LSTM(4, 8, 2, batch_first=True, bidirectional=True)), series(), series(), 1)


@SERIES("GRU")
def gru() -> Made:
    return Made(Recurrent(nn.GRU(4, 12, batch_first=True)), series(), 0.0, 1)


@SERIES("GRU")
def gru_attention_softmax() -> Made:
    return Made(
        nn.Sequential(Recurrent(nn.GRU(4, 8, batch_first=True, bidirectional=True), attention=True), nn.Softmax(-1)),
        series(),
        0.0,
        1,
    )


@SERIES("RNN", kinked=True)
def rnn_relu() -> Made:
    return Made(Recurrent(nn.RNN(4, 12, nonlinearity="relu", batch_first=True)), series(), 0.0, 1)


@SERIES("LSTM + attention")
def lstm_attention() -> Made:
    return Made(Recurrent(nn.LSTM(4, 12, batch_first=True), attention=True), series(), 0.0, 1)


@SERIES("sequence to sequence")
def encoder_decoder() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        encode, decode, last = self.parts
        states, state = encode(x)
        state, token = state[0], torch.zeros(len(x), 12, dtype=x.dtype)
        for _ in range(3):
            state = decode(token, state)
            weights = (states @ state.unsqueeze(-1)).softmax(1)
            token = (weights * states).sum(1)
        return last(torch.cat([state, token], 1))

    return Made(
        Function(forward, nn.GRU(4, 12, batch_first=True), nn.GRUCell(12, 12), nn.Linear(24, 5)), series(), 0.0, 2
    )


class Causal(nn.Module):
    def __init__(self, inside: int, outside: int, dilation: int) -> None:
        super().__init__()
        self.pad, self.conv = (
            2 * dilation,
            nn.utils.parametrizations.weight_norm(nn.Conv1d(inside, outside, 3, dilation=dilation)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (self.pad, 0)))


@SERIES("temporal convolution", kinked=True)
def tcn_weight_norm() -> Made:
    layers = nn.Sequential(Causal(4, 8, 1), nn.ReLU(), Causal(8, 8, 2), nn.ReLU(), Causal(8, 8, 4), nn.ReLU())
    return Made(
        Function(lambda self, x: self.parts[1](self.parts[0](x.transpose(1, 2))[..., -1]), layers, nn.Linear(8, 3)),
        series(16),
        0.0,
        1,
    )


@SERIES("temporal convolution", kinked=True)
def inception_time() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        y = torch.cat([part(x) for part in self.parts[:3]], 1)
        return self.parts[4](F.relu(self.parts[3](y)).mean(-1))

    kernels = [nn.Conv1d(4, 5, k, padding=k // 2) for k in (3, 5, 9)]
    return Made(Function(forward, *kernels, nn.BatchNorm1d(15), nn.Linear(15, 3)), series(20), 0.0, 1)


@SERIES("WaveNet")
def wavenet_gated() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        y, skips = self.parts[0](x.transpose(1, 2)), 0
        for gate in self.parts[1:4]:
            a, b = gate(y).chunk(2, 1)
            z = a.tanh() * b.sigmoid()
            y, skips = y + z, skips + z
        return self.parts[4](skips[..., -1])

    gates = [Causal(8, 16, 2**k) for k in range(3)]
    return Made(Function(forward, nn.Conv1d(4, 8, 1), *gates, nn.Linear(8, 3)), series(16), 0.0, 1)


@SERIES("echo state network")
def echo_state() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        state = torch.zeros(len(x), 24, dtype=x.dtype)
        for t in range(x.shape[1]):
            state = 0.7 * state + 0.3 * torch.tanh(x[:, t] @ self.inside + state @ self.within)
        return self.parts[0](state)

    return Made(
        Function(forward, nn.Linear(24, 2), inside=torch.randn(4, 24), within=1.2 * torch.randn(24, 24) / 24**0.5),
        series(20),
        0.0,
        1,
    )


# ---------------------------------------------------------------- audio


def wave(length: int = 256) -> Tensor:
    time = torch.arange(length) / length
    return (
        (2 * math.pi * 20 * time).sin() * (-3 * time).exp()
        + 0.3 * (2 * math.pi * 55 * time).sin()
        + 0.01 * torch.randn(length)
    )[None]


def spectrum(x: Tensor) -> Tensor:
    return torch.stft(x, 32, 16, window=torch.hann_window(32, dtype=x.dtype), return_complex=True)


def listening(of: Any, *, channels: int = 17, act: type[nn.Module] = nn.ReLU) -> Function:
    layers = nn.Sequential(
        nn.Conv1d(channels, 8, 3, padding=1),
        act(),
        nn.Conv1d(8, 8, 3),
        act(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )
    return Function(lambda self, x: self.parts[0](of(self, x)), layers, mel=torch.rand(6, 17).softmax(-1))


@SERIES("STFT power", kinked=True)
def power_spectrum_cnn() -> Made:
    return Made(listening(lambda self, x: spectrum(x).real.square() + spectrum(x).imag.square()), wave(), 0.0, 1)


@SERIES("STFT power")
def power_spectrum_conjugate() -> Made:
    def power(self: Any, x: Tensor) -> Tensor:
        found = spectrum(x)
        return (found * found.conj()).real

    return Made(listening(power, act=nn.SiLU), wave(), 0.0, 1)


@SERIES("STFT magnitude", kinked=True)
def magnitude_spectrum_cnn() -> Made:
    return Made(listening(lambda self, x: spectrum(x).abs()), wave(), 0.0, 1)


@SERIES("mel spectrogram", kinked=True, singular="0")
def log_mel_cnn() -> Made:
    return Made(
        listening(lambda self, x: (self.mel @ spectrum(x).abs().square() + 1e-6).log(), channels=6), wave(), 0.0, 1
    )


@SERIES("mel spectrogram", kinked=True, singular="0")
def log_mel_normalised() -> Made:
    def mel(self: Any, x: Tensor) -> Tensor:
        y = (self.mel @ spectrum(x).abs().square() + 1e-3).log()
        return (y - y.mean((1, 2), keepdim=True)) / (y.std((1, 2), keepdim=True) + 1e-5)

    return Made(listening(mel, channels=6), wave(), 0.0, 1)


@SERIES("raw audio", singular="0", kinked=True)
def wave_standardised() -> Made:
    """x / std, as feature extractors of speech have it: on silence."""

    def forward(self: Any, x: Tensor) -> Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-7).sqrt()
        return self.parts[0](x.unsqueeze(1))

    layers = nn.Sequential(
        nn.Conv1d(1, 8, 16, 8),
        nn.ReLU(),
        nn.Conv1d(8, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )
    return Made(Function(forward, layers), wave(), 0.0, 1)


@SERIES("raw audio", singular="0")
def wav2vec_like_silence() -> Made:
    layers = nn.Sequential(
        nn.Conv1d(1, 8, 10, 5, bias=False), nn.GroupNorm(8, 8), nn.GELU(), nn.Conv1d(8, 8, 3, 2, bias=False), nn.GELU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 4),
    )  # fmt: skip
    return Made(Function(lambda self, x: self.parts[0](x.unsqueeze(1)), layers), wave(), 0.0, 1)


@SERIES("raw audio", kinked=True)
def sincnet() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        time = (torch.arange(33, dtype=x.dtype) - 16) / 33
        low, high = self.bands
        filters = (
            torch.sinc(2 * high[:, None] * time) * 2 * high[:, None]
            - torch.sinc(2 * low[:, None] * time) * 2 * low[:, None]
        ) / 33
        return self.parts[0](F.max_pool1d(F.conv1d(x.unsqueeze(1), filters.unsqueeze(1)).abs(), 8).log1p())

    layers = nn.Sequential(nn.Flatten(), nn.Linear(8 * 28, 16), nn.LeakyReLU(), nn.Linear(16, 3))
    return Made(
        Function(forward, layers, bands=torch.stack([torch.linspace(0.5, 8, 8), torch.linspace(2, 12, 8)])),
        wave(),
        0.0,
        1,
    )


@SERIES("Fourier mixing")
def fnet() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = self.parts[0](x)
        x = x + torch.fft.fft2(x).real
        return self.parts[1](F.gelu(x).mean(1))

    return Made(Function(forward, nn.Linear(4, 8), nn.Linear(8, 3)), series(), 0.0, 1)


@SERIES("Fourier mixing", kinked=True)
def fourier_neural_operator() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.parts[0](x.transpose(1, 2))
        found = torch.fft.rfft(y)[..., :4]
        mixed = torch.einsum("bif,iof->bof", found, torch.complex(self.real, self.imaginary))
        y = F.relu(torch.fft.irfft(mixed, n=y.shape[-1]) + self.parts[1](y))
        return self.parts[2](y.mean(-1))

    modules = nn.Conv1d(4, 6, 1), nn.Conv1d(6, 6, 1), nn.Linear(6, 2)
    return Made(
        Function(forward, *modules, real=torch.randn(6, 6, 4) / 6, imaginary=torch.randn(6, 6, 4) / 6),
        series(16),
        0.0,
        1,
    )


@SERIES("reversible norm", singular="0")
def forecast_instance_norm() -> Made:
    """As RevIN: a series is standardised by itself, forecast, and scaled back."""

    def forward(self: Any, x: Tensor) -> Tensor:
        mean, std = x.mean(1, keepdim=True), (x.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        y = self.parts[0](((x - mean) / std).transpose(1, 2)).transpose(1, 2)
        return (y * std + mean)[:, -1]

    return Made(Function(forward, nn.Sequential(nn.Linear(12, 16), nn.GELU(), nn.Linear(16, 4))), series(), 0.0, 1)


@SERIES("forecast", kinked=True)
def n_beats() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        rest, total = x[..., 0], 0
        for back, ahead in zip(self.parts[::2], self.parts[1::2], strict=True):
            rest, total = rest - back(rest), total + ahead(rest)
        return total

    def block(outside: int) -> nn.Module:
        return nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, outside))

    return Made(Function(forward, block(12), block(3), block(12), block(3)), series(12, 1), 0.0, 1)
