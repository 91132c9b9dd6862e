"""The BentoML service: `bentoml serve` in the repository, or a Bento anywhere.

In a built Bento the model is the one pinned at build time; otherwise it is the promoted one.
"""

import os
import sys
from pathlib import Path

import bentoml
import yaml
from starlette.types import ASGIApp, Receive, Scope, Send

from models import registry
from models.bundle import BundleError

BENTO_FILE = Path(__file__).parents[2] / "bento.yaml"
"""Beside the `src` folder of a built Bento; there is none in the repository."""


def served_version() -> str:
    """The version to serve. Exits with a sentence on standard error if there is none."""
    if BENTO_FILE.is_file():
        bento = yaml.safe_load(BENTO_FILE.read_text(encoding="utf-8"))
        (model,) = (model for service in bento["services"] for model in service["models"])
        return str(bentoml.Tag.from_str(model["tag"]).version)
    try:
        return registry.promoted()
    except registry.RegistryError as error:
        sys.exit(str(error))


VERSION = served_version()

# Every core already has a thread that scores; the tokenizer's own would only fight them.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class Routes:
    """The application, which is there once the worker has loaded its model."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        await self.app(scope, receive, send)


routes = Routes()


@bentoml.service(
    name=registry.NAME,
    workers=1,
    traffic={"timeout": 600},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(routes)
class Framescope:
    """Which propaganda frames a text carries, where, and in whose voice."""

    bundle = bentoml.models.BentoModel(f"{registry.NAME}:{VERSION}")

    def __init__(self) -> None:
        # BentoML's supervisor imports this module too; it scores nothing, and starts faster so.
        from models.classifier import Classifier
        from serving.app import App

        try:
            classifier = Classifier.load(Path(self.bundle.path))
        except BundleError as error:
            sys.exit(str(error))
        routes.app = App(classifier, VERSION)
