"""Look after the corpus.

python -m data validate | stats | leakage   [PATH ...]
python -m data agreement PATH ...
python -m data export PATH ... --to FORMAT --out FILE_OR_FOLDER
python -m data import FILE_OR_FOLDER --from FORMAT [--mapping FILE] --out FILE.jsonl
python -m data hydrate [PATH ...] [--sources FOLDER] [--cache FOLDER]
"""

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from data.adapters import CORPORA, adapt, read_mapping
from data.agreement import AgreementError, agreement_text, measure_agreement
from data.codebook import Codebook, CodebookError, load_codebook
from data.exchange import FORMATS, export_records, import_records, write_records
from data.hydrate import GITHUB, Unreachable, hydrate
from data.near_duplicates import near_duplicates
from data.records import CorpusError, Record, StandoffRecord, read_entries, with_text
from data.splits import SPLITS
from data.standoff import SUFFIX, cache_folder, cached_text

CORPUS = Path(__file__).parent / "corpus"
SCENARIOS = CORPUS / "extension" / "scenarios.csv"


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    0: fine; 1: the corpus has problems or lacks text; 2: it could not be read; 130: stopped.
    """
    parser = argparse.ArgumentParser(prog="python -m data", description="The corpus.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("validate", "check every record and list every problem"),
        ("stats", "count what the corpus holds"),
        ("leakage", "find near-duplicates that stand in different splits"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("paths", nargs="*", type=Path, default=[CORPUS])
    agreement = commands.add_parser("agreement", help="how far several annotators agree")
    agreement.add_argument("paths", nargs="+", type=Path)
    add_exchange(commands)
    hydration = commands.add_parser("hydrate", help="fetch the text of stand-off records")
    hydration.add_argument("paths", nargs="*", type=Path, default=[CORPUS])
    hydration.add_argument(
        "--sources", type=Path, help="folder that has the sources, as OWNER/NAME/PATH"
    )
    hydration.add_argument(
        "--cache", type=Path, default=cache_folder(), help="folder for the text (%(default)s)"
    )
    hydration.add_argument("--base-url", default=GITHUB, help="of the sources (%(default)s)")
    args = parser.parse_args(argv)
    try:
        codebook = load_codebook()
        if args.command == "import":
            return run_import(args, codebook)
        entries = read_entries(args.paths, codebook)
    except CorpusError as error:
        print(f"{error}\n{len(error.problems)} problems", file=sys.stderr)
        return 1
    except (CodebookError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if args.command == "hydrate":
        standoff = [entry for entry in entries if isinstance(entry, StandoffRecord)]
        return run_hydration(standoff, args.cache, args.sources, args.base_url)
    records = with_text(entries, codebook)
    match args.command:
        case "export":
            return run_export(args, records, codebook)
        case "agreement":
            return print_agreement(records, codebook)
        case "stats":
            print_stats(records, codebook)
            if len(records) < len(entries):
                print(f"not hydrated: {len(entries) - len(records):,} passages more")
        case "leakage":
            return print_leakage(records)
        case "validate":
            print(f"{len(entries):,} records, no problem")
    return 0


def add_exchange(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommands `export` and `import`."""
    export = commands.add_parser("export", help="write records as another tool's file")
    export.add_argument("paths", nargs="+", type=Path)
    export.add_argument("--to", required=True, choices=FORMATS)
    export.add_argument("--out", required=True, type=Path, help="a file; a folder for datasets")
    importer = commands.add_parser("import", help="read another tool's or corpus's file")
    importer.add_argument("path", type=Path)
    importer.add_argument("--from", required=True, choices=(*FORMATS, *CORPORA), dest="source")
    importer.add_argument("--mapping", type=Path, help="TOML: a corpus's labels to frames")
    importer.add_argument("--out", required=True, type=Path, help="a .jsonl file of records")


def run_export(args: argparse.Namespace, records: Sequence[Record], codebook: Codebook) -> int:
    """Write the records; 2 if the place cannot be written to."""
    try:
        export_records(records, codebook, args.to, args.out)
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(records):,} records -> {args.out}")
    return 0


def run_import(args: argparse.Namespace, codebook: Codebook) -> int:
    """Read the records and write them; a corpus's labels are counted. 2 if there is no mapping."""
    if (args.source in CORPORA) != (args.mapping is not None):
        print(
            f"--mapping FILE goes with --from {', '.join(CORPORA)}, and only there.",
            file=sys.stderr,
        )
        return 2
    if args.mapping is None:
        records = import_records(args.path, codebook, args.source)
    else:
        mapping = read_mapping(args.mapping, codebook)
        adapted = adapt(args.path, codebook, args.source, mapping)
        records = adapted.records
        for title, counts in (
            ("mapped", adapted.mapped),
            ("not mapped, so no frame", adapted.unmapped),
        ):
            print(f"{title}: {counts.total():,} labels")
            for label, count in counts.most_common():
                print(f"  {count:>6,}  {label}")
    write_records(records, args.out)
    print(f"{len(records):,} records -> {args.out}")
    return 0


def run_hydration(
    records: Sequence[StandoffRecord], cache: Path, sources: Path | None, base_url: str
) -> int:
    """Hydrate, and tell each passage lost. 0: all are there; 1: some; 2: none; 130: stopped."""
    if not records:
        print(
            f"No record to hydrate: give files named *{SUFFIX}, or their folder.", file=sys.stderr
        )
        return 2
    if sources and not sources.is_dir():
        print(f"--sources: {sources} is no folder.", file=sys.stderr)
        return 2
    stopped = False
    try:
        with closing(hydrate(records, cache, sources, base_url)) as losses:
            for lost in losses:
                tqdm.write(str(lost), file=sys.stderr)
    except OSError as error:
        print(f"--cache: {error}", file=sys.stderr)
        return 2
    except Unreachable as error:
        print(f"Stopped: {error}. The same command goes on from here.", file=sys.stderr)
    except KeyboardInterrupt:
        stopped = True
        print("\nStopped; the same command goes on from here.", file=sys.stderr)
    there = sum(cached_text(cache, record.sha256) is not None for record in records)
    print(f"{there:,} of {len(records):,} passages hydrated, in {cache}")
    if stopped:
        return 130
    return 0 if there == len(records) else 1 if there else 2


def print_stats(records: Sequence[Record], codebook: Codebook) -> None:
    """Counts by label, split, kind and genre, and the coverage of the authored scenarios."""
    documents = {r.document_id for r in records if r.start is not None}
    print(f"{len(records):,} passages, {len(documents)} whole documents")
    print("\nlabel            total   " + "".join(f"{split:>12}" for split in SPLITS))
    rows = {key: [bool(value) for value in column] for key, column in _columns(records, codebook)}
    rows["no frame"] = [not r.frames for r in records]
    for key, column in rows.items():
        of_split = Counter(
            r.effective_split for r, here in zip(records, column, strict=True) if here
        )
        print(f"{key:<16} {sum(column):>5}   " + "".join(f"{of_split[s]:>12}" for s in SPLITS))
    for title, counter in (
        ("kind", Counter(r.kind for r in records)),
        ("genre", Counter(r.genre for r in records)),
        ("decade", Counter(r.date[:3] + "0s" for r in records if r.date)),
    ):
        print(f"\n{title}: " + ", ".join(f"{k} {n:,}" for k, n in counter.most_common()))
    if SCENARIOS.is_file():
        with SCENARIOS.open(encoding="utf-8", newline="") as file:
            scenarios = list(csv.DictReader(file))
        countries = {c for row in scenarios for c in row["countries"].split()}
        disputes = {row["dispute"] for row in scenarios}
        print(
            f"\nauthored: {len(scenarios)} scenarios and documents, {len(disputes)} disputes "
            f"and topics, {len(countries)} countries"
        )


def _columns(records: Sequence[Record], codebook: Codebook) -> list[tuple[str, tuple[float, ...]]]:
    hot = [record.multi_hot(codebook) for record in records]
    return [(key, tuple(row[i] for row in hot)) for i, key in enumerate(codebook.keys)]


def print_agreement(records: Sequence[Record], codebook: Codebook) -> int:
    """Print how far the annotators agree; 2 if the records cannot show it."""
    try:
        print(agreement_text(measure_agreement(records, codebook)))
    except AgreementError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def print_leakage(records: Sequence[Record]) -> int:
    """List near-duplicates across splits; 1 if there are any."""
    pairs = [
        pair
        for pair in near_duplicates(records)
        if pair.first.effective_split != pair.second.effective_split
    ]
    for pair in pairs:
        print(
            f"{pair.similarity:.2f}  {pair.first.id} ({pair.first.effective_split})  "
            f"{pair.second.id} ({pair.second.effective_split})"
        )
    print(f"{len(pairs)} near-duplicates across splits")
    return 1 if pairs else 0


if __name__ == "__main__":
    sys.exit(main())
