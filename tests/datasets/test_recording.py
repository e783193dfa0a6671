"""A layer of one's own network, in files."""

from collections import OrderedDict

import numpy as np
import pytest
import torch

from partsrep import SAE, record
from partsrep.datasets import shards


@pytest.fixture
def model():
    torch.manual_seed(0)
    layers = {"first": torch.nn.Linear(5, 7), "act": torch.nn.ReLU(), "drop": torch.nn.Dropout(0.9)}
    return torch.nn.Sequential(OrderedDict(layers))


@pytest.fixture
def x():
    return torch.randn(100, 5, generator=torch.Generator().manual_seed(1))


def expected(model, x):
    return torch.relu(x @ model.first.weight.T + model.first.bias).detach().numpy()


def test_rows_are_what_the_layer_puts_out_in_whole_shards(model, x, tmp_path):
    D = record(model, "act", x.split(30), tmp_path / "new", shard_size=40)
    files = sorted((tmp_path / "new").iterdir())
    assert [file.name for file in files] == ["00000.npy", "00001.npy", "00002.npy"]
    assert [len(np.load(file)) for file in files] == [40, 40, 20]
    np.testing.assert_allclose(np.asarray(D), expected(model, x), rtol=1e-5, atol=1e-6)
    assert np.array_equal(np.asarray(shards(files)), np.asarray(D)) and D.dtype == np.float32
    # A tensor is split, and a batch is no different from its samples.
    again = record(model, "act", x, tmp_path / "again")
    np.testing.assert_allclose(np.asarray(again), np.asarray(D), rtol=1e-5, atol=1e-6)
    assert SAE(3, max_epochs=1, random_state=0).fit(D).components_.shape == (3, 7)


def test_the_model_is_left_as_it_was_and_does_not_drop_meanwhile(model, x, tmp_path):
    model.first.eval()
    D = record(model, "drop", x, tmp_path)
    np.testing.assert_allclose(np.asarray(D), expected(model, x), rtol=1e-5, atol=1e-6)
    assert model.training and model.drop.training and not model.first.training
    assert not model.drop._forward_hooks
    with pytest.raises(RuntimeError, match="shapes"):
        record(model, "act", torch.ones(2, 3), tmp_path / "b")
    assert model.training and not model.act._forward_hooks


def test_half_precision_is_stored_and_what_it_cannot_hold_is_refused(model, x, tmp_path):
    D = record(model, "act", x, tmp_path / "half", dtype="float16")
    assert np.load(tmp_path / "half/00000.npy").dtype == np.float16
    np.testing.assert_allclose(np.asarray(D), expected(model, x), rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match=r"batch 1: 1e\+05 is too large for float16"):
        record(
            torch.nn.Identity(), "", [x, torch.full((2, 3), 1e5)], tmp_path / "b", dtype="float16"
        )
    with pytest.raises(ValueError, match="dtype must be one of float32, float16; got 'int8'"):
        record(model, "act", x, tmp_path / "c", dtype="int8")


def test_positions_are_rows_wherever_the_units_are(tmp_path):
    x = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    last = record(torch.nn.Identity(), "", [x], tmp_path / "last")
    assert np.array_equal(np.asarray(last), x.numpy().reshape(24, 5))
    second = record(torch.nn.Identity(), "", [x], tmp_path / "second", axis=1)
    assert np.array_equal(np.asarray(second), x.numpy().transpose(0, 2, 3, 1).reshape(40, 3))


def test_some_positions_of_each_sample_are_drawn_from_the_seed(tmp_path):
    x = torch.arange(10 * 50.0).view(10, 50, 1)
    drawn = {
        name: np.asarray(
            record(torch.nn.Identity(), "", x, tmp_path / name, positions=4, seed=seed)
        )
        for name, seed in {"a": 0, "again": 0, "other": 1}.items()
    }
    places = drawn["a"].reshape(10, 4)
    assert np.array_equal(places // 50, np.repeat(np.arange(10)[:, None], 4, axis=1))
    assert np.all(np.diff(places) > 0) and len(np.unique(places % 50)) > 15
    assert np.array_equal(drawn["a"], drawn["again"])
    assert not np.array_equal(drawn["a"], drawn["other"])


class Language(torch.nn.Module):
    """Takes named arguments and puts out a tuple, as language models do."""

    def __init__(self):
        super().__init__()
        self.block = self.Block()
        self.unused = torch.nn.Identity()

    class Block(torch.nn.Module):
        def forward(self, x):
            return x, "cache"

    def forward(self, input_ids, attention_mask):
        return self.block(input_ids[..., None].float().expand(-1, -1, 3))[0].sum()


def test_padded_positions_are_left_out_also_where_some_are_drawn(tmp_path):
    ids = torch.arange(1, 13).view(3, 4)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 0, 0]])
    batch = {"input_ids": ids, "attention_mask": mask}
    D = np.asarray(record(Language(), "block", [batch, batch], tmp_path / "a"))
    assert D[:, 2].tolist() == [1, 2, 3, 4, 5, 6, 10] * 2
    some = np.asarray(record(Language(), "block", [batch], tmp_path / "b", positions=2))[:, 0]
    assert len(some) == 5 and some[2:].tolist() == [5, 6, 10]
    with pytest.raises(ValueError, match=r"put it into a list, \[data\]"):
        record(Language(), "block", batch, tmp_path / "c")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("blocks", r"no layer 'blocks'. Near it, or the first: \['block'\]"),
        ("xyz", r"no layer 'xyz'. Near it, or the first: \['block', 'unused'\]"),
        ("unused", "'unused' did not run on batch 0"),
        ("", r"batch 0: its output is a tensor of shape \(\), not"),
    ],
)
def test_what_cannot_be_recorded_is_named(tmp_path, layer, message):
    batch = {"input_ids": torch.ones(1, 2), "attention_mask": torch.ones(1, 2)}
    with pytest.raises(ValueError, match=message):
        record(Language(), layer, [batch], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_none_is_refused_and_whole_shards_stay(tmp_path, bad):
    good = torch.ones(4, 2)
    with pytest.raises(ValueError, match="batch 2: its output holds NaN or infinity"):
        record(torch.nn.Identity(), "", [good, good, good * bad], tmp_path, shard_size=5)
    assert [file.name for file in tmp_path.iterdir()] == ["00000.npy"]
    assert np.load(tmp_path / "00000.npy").shape == (5, 2)


def test_other_shards_are_not_mixed_in(model, x, tmp_path):
    record(model, "act", x, tmp_path)
    with pytest.raises(FileExistsError, match="name an empty folder"):
        record(model, "act", x, tmp_path)


def test_no_batches_are_an_error(model, tmp_path):
    with pytest.raises(ValueError, match="data holds no batches"):
        record(model, "act", [], tmp_path)
