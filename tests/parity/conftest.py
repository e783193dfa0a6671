"""Our peers are not where the other tests run; `make parity` makes an environment that has them."""

from importlib.util import find_spec

if find_spec("sae_lens"):
    import beside  # noqa: F401
else:
    collect_ignore = ["test_parity.py", "steps.py", "beside.py"]
