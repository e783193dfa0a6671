"""What is foretold of an autoencoder, where the answer is known, and of what is trained then."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from typer.testing import CliRunner

from partsrep import NMF, SAE, TopK, datasets, predict, verdict
from partsrep.__main__ import app
from partsrep.study.prediction import REASONS, WORK, Step

SIZE = {"n_samples": 120, "n_parts": 4, "part_size": 3}
BLOBS = datasets.load("planted", **SIZE)
NOISY = datasets.load("planted", **SIZE, overlap=0.3, noise=0.1).D
DENSE = BLOBS.truth.H @ (BLOBS.truth.X + 1).T
THREE = np.random.RandomState(0).uniform(size=(120, 4)).argsort(axis=1) < 3
THREE = THREE * np.random.RandomState(1).uniform(0.5, 1.5, THREE.shape) @ BLOBS.truth.X.T
ONE = {"activation": TopK(1), "decoder": "unit-nonnegative"}


@pytest.mark.parametrize(
    "D, sae, agree, condition",
    [
        (BLOBS.D, None, True, "none"),
        (NOISY, None, True, "none"),
        (NOISY, SAE(decoder="unit-nonnegative"), True, "none"),
        (BLOBS.D, SAE(), False, "signs"),
        (BLOBS.D, SAE(decoder="unit", bias="encoder"), False, "signs"),
        (THREE, SAE(**ONE), False, "selection"),
        (DENSE, None, None, "uniqueness"),
        (NOISY - 0.2, None, None, "signs"),
        (BLOBS.D[:4], None, None, "samples"),
    ],
    ids=["exact", "noisy", "unit", "free", "free unit", "k", "dense", "signs", "few"],
)
def test_what_is_known_is_foretold_with_its_condition(D, sae, agree, condition):
    foretold = predict(D, 4, sae, seeds=3)
    assert (foretold.agree, foretold.deciding_condition) == (agree, condition)
    assert 0 < foretold.probability < 1
    if agree is not None:
        assert (foretold.probability > 0.5) == agree
    assert REASONS[condition] in foretold.reason


def test_one_part_is_all_that_chance_has_too():
    """So has the verdict it: with one part there is nothing to match."""
    assert predict(BLOBS.D, 1, seeds=2).agree is verdict(BLOBS.D, NMF(1), SAE(1), seeds=2).agree


@pytest.mark.parametrize(
    "sae", [SAE(4, decoder="nonnegative"), SAE(4, **ONE)], ids=["relu", "TopK"]
)
def test_the_excess_is_that_of_the_best_autoencoder_from_starts_of_its_own(sae):
    nmf = NMF(4, n_init=5, random_state=7).fit(NOISY)
    trained = sae.set_params(n_init=5, random_state=7).fit(NOISY)
    low, high = predict(NOISY, 4, sae, seeds=2).excess
    assert low <= trained.loss_ / nmf.loss_ - 1 <= high
    assert high - low <= max(0.004, 2 / 3 * high)


def test_the_way_is_one_choice_after_the_other():
    free = predict(NOISY, 4, SAE(activation=TopK(2), decoder="unit", bias="encoder"), seeds=2)
    assert list(free.steps) == ["noise", "encoder", "selection", "signs"]
    assert list(predict(NOISY, 4, seeds=2).steps) == ["noise"]
    logistic = predict(NOISY / NOISY.max(), 4, SAE(output="logistic"), seeds=2)
    assert list(logistic.steps)[-1] == "output"


def test_parts_that_are_active_together_and_dependent_are_named():
    """Three rays in the plane, all pairs of them active: exact, and not to be had by one layer."""
    bars = datasets.load("bars", size=3, n_samples=150).D
    assert list(predict(bars, 6, seeds=2).steps) == ["encodability"]


def test_what_is_proved_is_passed_on():
    foretold = predict(datasets.load("planted", n_parts=3, n_samples=100, noise=0.01).D, 3, seeds=2)
    assert 0.99 < foretold.certified_mcc < 1
    assert predict(NOISY - 0.2, 4, seeds=2).certified_mcc is None


@pytest.mark.parametrize("scale", [1e-150, 1e-3, 1e150])
def test_the_unit_of_the_data_does_not_matter(scale):
    one, other = (predict(D, 4, seeds=2) for D in (NOISY, NOISY * scale))
    assert (one.agree, one.deciding_condition) == (other.agree, other.deciding_condition)
    assert np.allclose(one.excess, other.excess, atol=1e-3)
    assert other.probability == pytest.approx(one.probability)


def test_the_same_seed_foretells_the_same_and_nothing_given_is_changed():
    sae, D = SAE(**ONE), NOISY.copy()
    one, other = (predict(D, 4, sae, seeds=2) for _ in range(2))
    assert one.table().equals(other.table())
    assert sae.n_components == "auto" and not hasattr(sae, "loss_") and (D == NOISY).all()


def test_of_large_data_so_many_samples_are_looked_at_as_is_said(monkeypatch):
    assert predict(NOISY, 4, seeds=2).n_samples == len(NOISY) < WORK
    monkeypatch.setattr("partsrep.study.prediction.WORK", 60 * NOISY.shape[1] * 4)
    assert predict(NOISY, 4, seeds=2).n_samples == 60


def test_the_table_and_the_picture_show_every_step():
    foretold = predict(THREE, 4, SAE(**ONE), seeds=2)
    table = foretold.table()["prediction"]
    for name, step in foretold.steps.items():
        assert isinstance(step, Step) and table[f"{name}: agreement"] == step.agreement
    assert table["at most active"] == 1 and table["agree"] == "no"
    names = [tick.get_text() for tick in foretold.plot().axes[1].get_xticklabels()]
    assert names == ["NMF", *foretold.steps]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((NOISY, 4, SAE(5)), "5.*4 parts"),
        ((NOISY, 0), "n_components"),
        ((NOISY, 2.5), "n_components"),
        ((NOISY, 4, None, 1), "seeds"),
        ((np.where(NOISY > 1, np.nan, NOISY), 4), "NaN"),
        ((NOISY[:0], 4), "0 sample"),
        ((NOISY - 0.2, 4, SAE(decoder="nonnegative")), "[Nn]egative"),
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        predict(*arguments)


def test_data_of_zeros_and_repeated_samples_have_an_answer():
    assert predict(np.zeros((20, 5)), 2, seeds=2).agree is None
    once, often = (predict(np.tile(BLOBS.D[:5], (n, 1)), 3, seeds=2) for n in (1, 6))
    assert once.agree is often.agree is True


def stopped(*arguments, **settings):
    raise KeyboardInterrupt


def test_the_command_prints_what_the_function_says_and_how_it_ended(tmp_path, monkeypatch):
    table = tmp_path / "blobs.csv"
    np.savetxt(table, BLOBS.D, delimiter=",")
    said = CliRunner().invoke(app, ["predict", str(table), "--parts", "4", "--seeds", "2"])
    assert said.exit_code == 0 and said.output.startswith(predict(BLOBS.D, 4, seeds=2).reason)
    sparse = tmp_path / "sparse.mtx"
    scipy.io.mmwrite(sparse, scipy.sparse.coo_array(BLOBS.D))
    said = CliRunner().invoke(app, ["predict", str(sparse), "--parts", "4"])
    assert said.exit_code == 2 and "dense data is required" in said.output
    monkeypatch.setattr("partsrep.study.prediction.certificate", stopped)
    said = CliRunner().invoke(app, ["predict", str(table), "--parts", "4", "--seeds", "2"])
    again = f"Stopped. Nothing is kept; this begins again:\npartsrep predict {table} --parts 4"
    assert said.exit_code == 130 and f"{again} --seeds 2\n" in said.output
    table.write_text("a,b\n1,x\n")
    said = CliRunner().invoke(app, ["predict", str(table), "--parts", "1"])
    assert said.exit_code == 2 and "line 2, column 2: 'x' is not a number" in said.output
