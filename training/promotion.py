"""Promote a model that passes the gates, and say why not where it does not."""

import logging
from collections.abc import Sequence

from data.codebook import Codebook
from data.records import Record
from eval.gate import check_bundle
from eval.gates import Gates
from eval.inputs import of_split
from models import registry

logger = logging.getLogger("training")


def promote_if_it_passes(
    version: str, records: Sequence[Record], gates: Gates, codebook: Codebook
) -> bool:
    """Judge a registered version on the corpus's test split; whether it is now promoted."""
    folder = registry.path(version)
    cases, previous = check_bundle(folder, of_split(records, "test"), gates, codebook)
    failed = [case for case in cases if not case.passed]
    if not failed:
        registry.promote(version)
        logger.info("Promoted: %s", f"it replaces {previous}." if previous else "it is the first.")
        return True
    for case in failed:
        logger.error("Failed gate: %s: %s", case.name, case.message)
    logger.error(
        "%s is registered but not promoted: %d of %d gates failed. %s "
        "`python -m models promote %s` promotes it all the same.",
        version,
        len(failed),
        len(cases),
        f"{previous} is served as before." if previous else "There is no model to serve yet.",
        version,
    )
    return False
