"""Fitted models out and in again, as one safetensors file."""

from __future__ import annotations

import json
import os
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from importlib.metadata import version
from pkgutil import iter_modules
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open
from sklearn.utils.validation import check_is_fitted

from . import choices, presets
from .choices.problem import Problem
from .disk import existing, write_whole
from .estimators import NMF, SAE
from .lazy import Lazy, torch
from .solvers import online
from .validation import check_shape

autoencoder = Lazy("partsrep.solvers.autoencoder")

FORMAT = 2  # of the file; a reader refuses others
ESTIMATORS = {"NMF": NMF, "SAE": SAE}
# Whatever a file of the choices or of a named method defines; helpers have an underscore.
MODULES = [
    import_module(f"{package.__name__}.{module.name}")
    for package in (choices, presets)
    for module in iter_modules(package.__path__)
    if not module.name.startswith("_")
]
CHOICES = {
    name: choice
    for module in (*MODULES, online)
    for name, choice in vars(module).items()
    if is_dataclass(choice)
}


def save(estimator: NMF | SAE, path: str | os.PathLike) -> None:
    """Write a fitted model to one safetensors file, whole or not at all.

    The tensors are the fitted arrays (``components_``, ``encoder_``, ``history_.objective`` …);
    the metadata has one entry, ``partsrep``, which is JSON: the class, its parameters, the fitted
    numbers, and which tensor is what. Nothing is pickled. Other programs can read the tensors.

    Parameters
    ----------
    estimator : NMF or SAE
        Fitted; a ValueError if it is not, or has a setting that is not partsrep's own, such as a
        home-made activation. A `start` is stored as None, for it is a model of its own; so is a
        `random_state` that is a RandomState: it has moved on in fitting, so that it would not
        repeat the fit. Of an SAE whose parts are made of samples the samples are stored too.
    path : str or path
        Where to write; its folder must exist. An older file is replaced.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> D = np.kron(np.eye(2), np.ones((5, 3)))
    >>> nmf = NMF(n_components=2).fit(D)
    >>> with TemporaryDirectory() as folder:
    ...     save(nmf, Path(folder, "nmf.safetensors"))
    ...     again = load(Path(folder, "nmf.safetensors"))
    >>> again, bool((again.transform(D) == nmf.transform(D)).all())
    (NMF(n_components=2), True)
    """
    name = type(estimator).__name__
    if type(estimator) not in (NMF, SAE):
        raise ValueError(f"save takes a fitted NMF or SAE; got {estimator!r}.")
    check_is_fitted(estimator)
    parameters = estimator.get_params(deep=False)
    fitted = {key: value for key, value in vars(estimator).items() if key not in parameters}
    parameters["start"] = None
    if isinstance(parameters["random_state"], np.random.RandomState):
        parameters["random_state"] = None
    tensors: dict[str, np.ndarray] = {}
    config = {"format": FORMAT, "version": version("partsrep"), "class": name}
    if parameters["device"] is not None:
        parameters["device"] = str(parameters["device"])  # a name or one of torch's
    if isinstance(estimator, SAE):
        state = fitted.pop("module_").state_dict()  # and put back as the last
        fitted["module_"] = {key: weights.numpy() for key, weights in state.items()}
    for part, values in {"parameters": parameters, "fitted": fitted}.items():
        config[part] = {key: _packed(value, key, tensors) for key, value in values.items()}
    content = safetensors.numpy.save(tensors, {"partsrep": json.dumps(config)})
    write_whole(path, content, "model")


def load(path: str | os.PathLike) -> NMF | SAE:
    """Read a model that :func:`save` wrote; its codes and reconstructions are the same to the bit.

    It is a ValueError if the file is truncated, of another kind (a pickle, say: these are never
    loaded), not written by :func:`save`, of another format, names a choice that is not known, or
    holds arrays that do not fit together.
    """
    path = existing(path)
    try:
        with safe_open(path, "np") as file:
            written = (file.metadata() or {}).get("partsrep")
            if written is None:
                raise ValueError(
                    f"{path} was not written by partsrep.save: weights that were trained elsewhere "
                    "come in by SAE.from_weights."
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no safetensors file, or not a whole one (pickles are never loaded): {error}"
        ) from error
    try:
        config = json.loads(written)
        if config["format"] != FORMAT:
            raise ValueError(
                f"it has format {config['format']} of partsrep {config['version']}, but partsrep "
                f"{version('partsrep')} reads format {FORMAT}: install the one that wrote it, or "
                "fit again."
            )
        return _unpacked_model(config, tensors)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold a model that can be loaded: {error}") from error


def _packed(value: Any, name: str, tensors: dict[str, np.ndarray]) -> Any:
    """A value as JSON; what JSON has no word for is {kind: content}, arrays go into `tensors`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        array = np.array(value, order="C")
        name = next((key for key, other in tensors.items() if _same(other, array)), name)
        tensors[name] = array
        # How numbers lie in memory decides in which order a product adds them.
        return {"columns" if value.flags.fnc else "array": name}
    if isinstance(value, np.ndarray):
        return {"names": _packed(value.tolist(), name, tensors)}
    if isinstance(value, list | tuple):
        items = [_packed(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict):
        items = value.items()
        return {"dict": {key: _packed(item, f"{name}.{key}", tensors) for key, item in items}}
    if CHOICES.get(type(value).__name__) is type(value):
        items = ((field.name, getattr(value, field.name)) for field in fields(value))
        content = {key: _packed(item, f"{name}.{key}", tensors) for key, item in items}
        return {type(value).__name__: content}
    raise ValueError(
        f"{name}={value!r} cannot be stored: a file holds numbers, names, arrays and the choices "
        "that partsrep itself defines."
    )


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays agree to the bit."""
    return (a.dtype, a.shape) == (b.dtype, b.shape) and a.tobytes() == b.tobytes()


def _unpacked(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    """What :func:`_packed` was given."""
    if isinstance(value, list):
        return [_unpacked(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind in ("array", "columns"):
        return np.array(tensors[content], order="C" if kind == "array" else "F")
    if kind == "names":
        return np.array(content, dtype=object)
    if kind == "tuple":
        return tuple(_unpacked(content, tensors))
    content = {key: _unpacked(item, tensors) for key, item in content.items()}
    if kind == "dict":
        return content
    if kind not in CHOICES:
        raise ValueError(f"it names {kind!r}, which partsrep {version('partsrep')} does not know.")
    return CHOICES[kind](**content)


def _unpacked_model(config: dict, tensors: dict[str, np.ndarray]) -> NMF | SAE:
    """The fitted model."""
    if config["class"] not in ESTIMATORS:
        raise ValueError(f"it is a {config['class']!r}, neither NMF nor SAE.")
    parameters, fitted = (
        _unpacked({"dict": config[part]}, tensors) for part in ("parameters", "fitted")
    )
    model = ESTIMATORS[config["class"]](**parameters)
    state = fitted.pop("module_", None)
    vars(model).update(fitted)
    if isinstance(model, SAE):
        model._adopt(_unpacked_module(fitted["problem_"], state))
    m, d = model.components_.shape
    if model.n_features_in_ != d or len(getattr(model, "parts_weights_", model.components_)) != m:
        raise ValueError(f"its arrays do not fit components_ of shape {m, d}.")
    return model


def _unpacked_module(solved: Problem, state: dict[str, np.ndarray]) -> autoencoder.Autoencoder:
    """The module with given weights, whose shapes must follow from those of its dictionary."""
    state = {name: torch.as_tensor(weights) for name, weights in state.items()}
    components, bound = state["dictionary"], solved
    if solved.parts.of_samples:
        bound = replace(solved, parts=solved.parts.bind(state["samples"].numpy()))
        components = components @ state["samples"]
    solved.codes.check(len(components))
    module = autoencoder.Autoencoder(bound, components, torch.zeros_like(components))
    module.problem = solved
    if "frozen" in state:
        check_shape("threshold", state["frozen"].shape, ((), (len(components),)))
        module.frozen = state["frozen"]
    module.load_state_dict(state, assign=True)
    return module
