"""Where a model comes from, as far as this machine and repository can tell."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from data.corpus import corpus_fingerprint
from data.records import KINDS, Record
from data.splits import SPLITS
from eval.provenance import git_state
from models.base_encoder import file_sha256, locate
from models.bundle import BaseEncoder, Provenance
from training.recipe import Recipe

LIBRARIES = ("torch", "transformers", "datasets", "tokenizers", "openvino", "numpy", "bentoml")


def provenance(recipe: Recipe, records: Sequence[Record]) -> Provenance:
    """Everything that went into a model trained now."""
    commit, dirty = git_state()
    return Provenance(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        base_encoder=BaseEncoder(
            name=recipe.base_encoder, sha256=weights_sha256(locate(recipe.base_encoder))
        ),
        corpus_sha256=corpus_fingerprint(records),
        passages=passages_by_kind(records),
        languages=tuple(sorted({r.lang for r in records})),
        git_commit=commit,
        git_dirty=dirty,
        seed=recipe.seed,
        recipe=asdict(recipe),
        libraries={name: version(name) for name in LIBRARIES},
    )


def passages_by_kind(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    """How many passages of each kind there are in each split."""
    counts = Counter((record.effective_split, record.kind) for record in records)
    return {split: {kind: counts[split, kind] for kind in KINDS} for split in SPLITS}


def weights_sha256(encoder: str) -> str:
    """SHA-256 of the encoder's safetensors file; "unknown" for a hub id, whose cache may move."""
    file = Path(encoder) / "model.safetensors"
    return file_sha256(file) if file.is_file() else "unknown"
