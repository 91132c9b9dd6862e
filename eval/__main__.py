"""Evaluate a model.

python -m eval report MODEL [--corpus PATH ... | --split test] [--documents FILE] [--baselines]
python -m eval compare OLD NEW [--corpus PATH ... | --split test]
python -m eval gate MODEL [--gates FILE] [--corpus PATH ... | --split test] [--junit FILE]

MODEL is a bundle folder, a registered version, or `promoted`.
"""

import argparse
import sys

from transformers.utils.logging import disable_progress_bar

from data.records import CorpusError
from eval import compare_command, gate_command, report_command
from eval.inputs import InputError
from models import registry
from models.bundle import BundleError

COMMANDS = {
    "report": (report_command, "say how good a model is and where it fails"),
    "compare": (compare_command, "is the new model better than the old one?"),
    "gate": (gate_command, "may this model be promoted?"),
}
COULD_NOT_RUN = (registry.RegistryError, BundleError, CorpusError, InputError, OSError)


def main(argv: list[str] | None = None) -> int:
    """Run the command. 0: done; 1: a gate failed; 2: could not, and why is on standard error."""
    parser = argparse.ArgumentParser(prog="python -m eval", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, text) in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=text))
    args = parser.parse_args(argv)
    disable_progress_bar()  # of loading the weights of the baselines' encoder
    try:
        code: int = COMMANDS[args.command][0].run(args)
    except COULD_NOT_RUN as error:
        print(error, file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
