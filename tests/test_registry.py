import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models import registry
from models.bundle import FRAMING, read_framing, write_manifest
from tests.conftest import command, environment
from tests.small_model import ROOT


@pytest.fixture
def two_versions(bundle: Path, tmp_path: Path) -> Path:
    """A registry home of its own, with the small model and a later variant of it."""
    home, first, second = tmp_path / "home", tmp_path / "first", tmp_path / "second"
    for copy in (first, second):
        shutil.copytree(bundle, copy, ignore=shutil.ignore_patterns("model.yaml"))
    framing = read_framing(bundle)
    later = framing.provenance.model_copy(update={"created": "2999-01-01T00:00:00Z"})
    changed = framing.model_copy(update={"provenance": later})
    (second / FRAMING).write_text(changed.model_dump_json(), encoding="utf-8")
    write_manifest(second)
    program = (
        "import sys; from pathlib import Path; from models import registry\n"
        "for path in sys.argv[1:]: registry.add(Path(path))"
    )
    adding = [sys.executable, "-c", program, str(first), str(second), str(first)]
    subprocess.run(adding, cwd=ROOT, env=environment(home), check=True)
    return home


def listed(home: Path) -> list[str]:
    done = command(home, "models", "list")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_promote_and_roll_back(two_versions: Path) -> None:
    newest, older = (line.split()[0] for line in listed(two_versions))
    assert newest.startswith("29990101")
    assert command(two_versions, "models", "promoted").returncode == 2
    for version in (older, newest):
        assert command(two_versions, "models", "promote", version).returncode == 0
    assert command(two_versions, "models", "promoted").stdout.strip() == newest
    assert [line[0] for line in listed(two_versions)] == ["*", " "]
    assert command(two_versions, "models", "rollback").returncode == 0
    assert command(two_versions, "models", "promoted").stdout.strip() == older
    refused = command(two_versions, "models", "rollback")
    assert refused.returncode == 2
    assert "no earlier promoted version" in refused.stderr


def test_an_unknown_version_is_refused_in_a_sentence(two_versions: Path) -> None:
    for verb in ("promote", "card"):
        refused = command(two_versions, "models", verb, "nope")
        assert refused.returncode == 2
        assert refused.stderr.startswith("There is no model version 'nope'")


def test_the_card_says_what_the_model_learned_from(two_versions: Path) -> None:
    version = listed(two_versions)[0].split()[0]
    card = command(two_versions, "models", "card", version).stdout
    assert "| train | authored |" in card
    assert "| encirclement |" in card


def test_an_empty_registry_has_nothing_promoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    with pytest.raises(registry.RegistryError, match="python -m training"):
        registry.promoted()
