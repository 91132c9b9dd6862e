"""The gates' settings: bounds that a model must keep to, from a TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from data.codebook import Codebook
from eval.inputs import InputError

DEFAULT_PATH = Path(__file__).parent / "gates.toml"

Share = Annotated[float, Field(ge=0, le=1)]


class Gates(BaseModel):
    """The bounds; `gates.toml` says what each means. None is not judged."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    minimum_support: Annotated[int, Field(ge=1)]
    minimum_macro_f1: Share | None = None
    minimum_f1: dict[str, Share] = {}
    maximum_calibration_error: Share | None = None
    maximum_flip_rate: Share | None = None
    maximum_topic_false_positives: Share | None = None
    minimum_pairs_right: Share | None = None
    regression_allowed: bool = False

    @field_validator("minimum_f1")
    @classmethod
    def _are_labels(cls, floors: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        if not isinstance(info.context, Codebook):
            raise TypeError("gates are validated with the codebook as their context")
        unknown = sorted(floors.keys() - set(info.context.keys))
        if unknown:
            keys = ", ".join(info.context.keys)
            raise ValueError(f"{', '.join(unknown)}: not in the codebook, which has {keys}")
        return floors

    @property
    def need_suite(self) -> bool:
        """Whether any bound is on a measure of the behavioral suite."""
        bounds = (
            self.maximum_flip_rate,
            self.maximum_topic_false_positives,
            self.minimum_pairs_right,
        )
        return any(bound is not None for bound in bounds)


def load_gates(path: Path, codebook: Codebook) -> Gates:
    """Read a gates file. Raises `InputError` with every problem, one a line."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
        return Gates.model_validate(settings, context=codebook)
    except OSError as error:
        raise InputError(f"{path}: no gates file can be read here ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}.") from error
    except ValidationError as error:
        problems = [
            f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}."
            for e in error.errors(include_url=False, include_input=False)
        ]
        raise InputError("\n".join(problems)) from error
