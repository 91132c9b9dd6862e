"""The model card that travels with a bundle (after Mitchell et al., 2019)."""

from models.bundle import Framing


def model_card(framing: Framing) -> str:
    """The card as Markdown, with the front matter that model hubs read."""
    origin = framing.provenance
    counts = "\n".join(
        f"| {split} | {kind} | {number} |"
        for split, kinds in origin.passages.items()
        for kind, number in kinds.items()
    )
    return f"""---
license: apache-2.0
language: [{", ".join(origin.languages)}]
pipeline_tag: text-classification
base_model: {origin.base_encoder.name}
---
# Framescope

Says which frames a passage carries ({", ".join(framing.codebook.frames)}) and in whose voice it
speaks ({", ".join(framing.codebook.voices)}), with calibrated scores.

**Use.** To find passages for a person to read. A frame is a way of telling, not a lie: a score
says nothing about whether a text is true, honest or paid for, and must not be used to judge its
author. Trained on {", ".join(origin.languages)}; other languages are scored, with a warning, and
not to be relied on.

**Trained from** `{origin.base_encoder.name}` (weights SHA-256 `{origin.base_encoder.sha256}`) on
corpus `{origin.corpus_sha256[:12]}`, codebook {framing.codebook.version}
(`{framing.codebook_fingerprint[:12]}`), seed {origin.seed}, at commit
`{origin.git_commit[:12]}`{" with uncommitted changes" if origin.git_dirty else ""}, on
{origin.created}.

| split | kind | passages |
|---|---|---|
{counts}

Seed passages are of five news texts and statements, authored ones were written for this project,
and real ones were published by others.

**Calibration and thresholds** were chosen on the validation split alone. A document's score is
the {framing.document_rule} of its passages' scores.

| label | threshold | F1 on test | average precision | support |
|---|---|---|---|---|
{_label_rows(framing)}

Macro-F1 of the frames on the test split: {framing.metrics["test"]["macro_f1"]:.3f}. The test split
comes from the same writers as the training split; expect less on text from elsewhere.

Load it with `models.classifier.Classifier.load(folder)`, or, after `import models.network`, with
`transformers.AutoModelForSequenceClassification.from_pretrained(folder)` for raw logits.
"""


def _label_rows(framing: Framing) -> str:
    results = framing.metrics["test"]["labels"]
    return "\n".join(
        f"| {key} | {calibration.threshold:.3f} | {results[key]['f1']:.3f} "
        f"| {results[key]['average_precision']:.3f} | {results[key]['support']} |"
        for key, calibration in zip(framing.codebook.keys, framing.calibration, strict=True)
    )
