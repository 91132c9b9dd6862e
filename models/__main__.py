"""The registry on the command line.

python -m models list | promoted | promote VERSION | rollback | card VERSION
"""

import argparse
import sys

from models import registry
from models.bundle import CARD, read_framing


def main(argv: list[str] | None = None) -> int:
    """Run one command. 0: done; 2: could not, and why stands on standard error."""
    parser = argparse.ArgumentParser(prog="python -m models", description="The model registry.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all versions, newest first; the promoted one starred")
    commands.add_parser("promoted", help="the version that is served")
    commands.add_parser("rollback", help="promote again what was promoted before")
    for name, text in (("promote", "serve this version"), ("card", "print a model card")):
        commands.add_parser(name, help=text).add_argument("version")
    args = parser.parse_args(argv)
    try:
        _run(args)
    except registry.RegistryError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _run(args: argparse.Namespace) -> None:
    match args.command:
        case "list":
            _list()
        case "promoted":
            print(registry.promoted())
        case "promote":
            registry.promote(args.version)
            print(f"{args.version} is promoted; a running service takes it up when restarted.")
        case "rollback":
            print(f"{registry.roll_back()} is promoted again.")
        case "card":
            print((registry.path(args.version) / CARD).read_text(encoding="utf-8"))


def _list() -> None:
    try:
        current = registry.promoted()
    except registry.RegistryError:
        current = ""
    for version in registry.versions():
        macro = read_framing(registry.path(version)).metrics["test"]["macro_f1"]
        print(f"{'*' if version == current else ' '} {version}  macro-F1 on test {macro:.3f}")


if __name__ == "__main__":
    sys.exit(main())
