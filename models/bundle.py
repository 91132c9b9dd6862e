"""The bundle: the folder that is a model, with all that is needed to reproduce a score.

config.json, model.safetensors, tokenizer*.json   a Hugging Face checkpoint
graph.xml, graph.bin                               the same network, exported for serving
framing.json                                       labels, calibration, provenance
README.md                                          the model card
manifest.json                                      the SHA-256 of every other file
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from data.codebook import Codebook
from models.base_encoder import file_sha256
from models.calibration import Calibration

FRAMING, MANIFEST, CARD = "framing.json", "manifest.json", "README.md"
GRAPH, TOKENIZER = "graph.xml", "tokenizer.json"

Precision = Literal["native", "f32"]
"""Of the matrix products on a CPU: the fastest that it has in hardware, or f32 anywhere."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)  # fastest first


class BundleError(ValueError):
    """A folder is not a bundle, or not the one that was written."""


class BaseEncoder(BaseModel):
    """What training started from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str


class Provenance(BaseModel):
    """Where a model comes from; enough to train it again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    created: str
    base_encoder: BaseEncoder
    corpus_sha256: str
    passages: dict[str, dict[str, int]]  # split -> kind -> number of passages
    languages: tuple[str, ...]
    git_commit: str
    git_dirty: bool
    seed: int
    recipe: dict[str, Any]
    libraries: dict[str, str]


class Framing(BaseModel):
    """`framing.json`: what turns the network's logits into labeled, calibrated scores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    codebook: Codebook
    codebook_fingerprint: str
    calibration: tuple[Calibration, ...]  # in the codebook's order of labels
    max_tokens: int
    cpu_precision: Precision = "native"  # "f32" where bf16 strayed from the checkpoint's scores
    document_rule: str
    metrics: dict[str, Any]
    provenance: Provenance


def write_manifest(folder: Path) -> str:
    """Write the manifest over all files of the folder and return the bundle's hash."""
    hashes = {name: file_sha256(folder / name) for name in _files(folder)}
    text = json.dumps(hashes, indent=2, sort_keys=True) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return bundle_sha256(folder)


def bundle_sha256(folder: Path) -> str:
    """The hash that stands for the whole bundle: that of its manifest."""
    return file_sha256(folder / MANIFEST)


def read_framing(folder: Path) -> Framing:
    """Check every file against the manifest and read `framing.json`. Raises `BundleError`."""
    if not (folder / MANIFEST).is_file():
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}.")
    try:
        manifest: dict[str, str] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"{folder / MANIFEST} is not JSON: {error}.") from error
    for name, expected in manifest.items():
        if not (folder / name).is_file():
            raise BundleError(f"{folder} lacks {name}, which its manifest lists.")
        if file_sha256(folder / name) != expected:
            raise BundleError(f"{folder / name} has changed since the bundle was written.")
    if FRAMING not in manifest:
        raise BundleError(f"{folder / MANIFEST} does not list {FRAMING}.")
    try:
        framing = Framing.model_validate_json((folder / FRAMING).read_bytes())
    except ValidationError as error:
        raise BundleError(f"{folder / FRAMING}: {error}") from error
    if framing.codebook.fingerprint != framing.codebook_fingerprint:
        raise BundleError(f"{folder / FRAMING}: the codebook is not the one of its fingerprint.")
    return framing


def content_version(folder: Path) -> str:
    """A short name for this content, fit for a version tag."""
    return hashlib.sha256(bundle_sha256(folder).encode()).hexdigest()[:12]


def _files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_file() and p.name != MANIFEST)
