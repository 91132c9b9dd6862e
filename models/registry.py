"""The registry: bundles in BentoML's model store, and which of them is promoted.

BentoML's own `latest` is the newest model. The newest is not always the best, so the one to serve
is named explicitly, in a small file beside the store that also keeps what was served before.
"""

import json
import os
from pathlib import Path

import bentoml
from bentoml.exceptions import NotFound

from models.bundle import content_version, read_framing

NAME = "framescope"


class RegistryError(ValueError):
    """The registry does not hold what was asked for; the message says what to do."""


def add(bundle: Path) -> str:
    """Register a bundle and return its version; a bundle that is already there stays as it is."""
    framing = read_framing(bundle)
    created = framing.provenance.created.replace("-", "").replace(":", "").lower()
    version = f"{created}-{content_version(bundle)}"
    if version not in versions():
        with bentoml.models.create(f"{NAME}:{version}") as model:
            for file in bundle.iterdir():
                Path(model.path_of(file.name)).write_bytes(file.read_bytes())
    return version


def versions() -> list[str]:
    """All registered versions, newest first."""
    models = [model for model in bentoml.models.list() if model.tag.name == NAME]
    models.sort(key=lambda model: model.creation_time, reverse=True)
    return [str(model.tag.version) for model in models]


def path(version: str) -> Path:
    """The bundle's folder. Raises `RegistryError` if there is no such version."""
    try:
        return Path(bentoml.models.get(f"{NAME}:{version}").path)
    except NotFound as error:
        raise RegistryError(
            f"There is no model version {version!r}; `python -m models list` shows those there are."
        ) from error


def promote(version: str) -> None:
    """Make this the version to serve."""
    path(version)
    history = [v for v in promotions() if v != version]
    _write_history([*history, version])


def roll_back() -> str:
    """Promote again what was promoted before, and return its version."""
    history = promotions()
    if len(history) < 2:
        raise RegistryError("There is no earlier promoted version to roll back to.")
    path(history[-2])
    _write_history(history[:-1])
    return history[-2]


def promoted() -> str:
    """The version to serve. Raises `RegistryError` if none is."""
    history = promotions()
    if not history:
        raise RegistryError(
            "No model is promoted yet. Run `python -m training` to train and promote one, or "
            "`python -m models promote VERSION` to choose one that is registered."
        )
    return history[-1]


def promotions() -> list[str]:
    """Promoted versions, the one that is served last."""
    if not _pointer().is_file():
        return []
    history: list[str] = json.loads(_pointer().read_text(encoding="utf-8"))
    return history


def _pointer() -> Path:
    home = Path(os.environ.get("BENTOML_HOME", "~/bentoml")).expanduser()
    return home / NAME / "promoted.json"


def _write_history(history: list[str]) -> None:
    pointer = _pointer()
    pointer.parent.mkdir(parents=True, exist_ok=True)
    new = pointer.with_suffix(".new")
    new.write_text(json.dumps(history) + "\n", encoding="utf-8")
    new.replace(pointer)
