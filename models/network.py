"""The network: a pretrained encoder, and a head that reads the tokens anew for each label.

Importing this module makes `AutoModelForSequenceClassification.from_pretrained` load a bundle.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from models.base_encoder import BaseEncoderError
from models.head import LabelAttention


class LabelAttentionConfig(PreTrainedConfig):
    """The encoder's own configuration and the labels."""

    model_type = "label_attention_classifier"
    sub_configs = {"encoder": AutoConfig}  # noqa: RUF012 - transformers reads it from the class

    def __init__(
        self, encoder: PreTrainedConfig | dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        if isinstance(encoder, dict):
            encoder = AutoConfig.for_model(**encoder)
        self.encoder = encoder
        kwargs.setdefault("problem_type", "multi_label_classification")
        super().__init__(**kwargs)


class LabelAttentionForSequenceClassification(PreTrainedModel):
    """Multi-label sequence classifier.

    all-MiniLM-L6-v2 was trained with mean pooling, and its first token says little by itself:
    transformers' own classification head, which reads that token, learns poorly from it.
    """

    config_class = LabelAttentionConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True

    def __init__(self, config: LabelAttentionConfig) -> None:
        super().__init__(config)
        # Only the configuration that transformers makes to compare with lacks them.
        assert config.encoder is not None
        assert config.num_labels is not None
        self.encoder = AutoModel.from_config(config.encoder)
        # Never read here; left in, it would be an untrained weight that DistributedDataParallel
        # waits for.
        self.encoder.pooler = None
        self.classifier = LabelAttention(config.encoder.hidden_size, config.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]
        # Every label begins with the plain mean, and learns from there what to look at.
        nn.init.zeros_(self.classifier.query.weight)

    @classmethod
    def from_encoder(
        cls, path: str, labels: Sequence[str]
    ) -> "LabelAttentionForSequenceClassification":
        """A pretrained encoder, its dropout off, under a new head.

        `path` is a folder or a hub id. Raises `BaseEncoderError` if there is no encoder there.
        """
        try:
            encoder_config = AutoConfig.from_pretrained(path)
        except OSError as error:
            raise BaseEncoderError(
                f"base_encoder {path!r} is neither a folder that holds a model nor a hub id that "
                "can be reached from here."
            ) from error
        for name, value in encoder_config.to_dict().items():
            if "dropout" in name and isinstance(value, float):
                setattr(encoder_config, name, 0.0)
        encoder = AutoModel.from_pretrained(path, config=encoder_config, dtype=torch.float32)
        encoder.pooler = None
        names = dict(enumerate(labels))
        config = LabelAttentionConfig(
            encoder=encoder.config, id2label=names, label2id={v: k for k, v in names.items()}
        )
        model = cls(config)
        model.encoder = encoder
        return model

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits of shape (batch, labels), and the mean binary cross-entropy if given labels.

        `input_ids` and `attention_mask` have shape (batch, tokens), `labels` (batch, labels);
        `inputs_embeds`, (batch, tokens, width), can stand in for `input_ids`.
        """
        assert attention_mask is not None
        hidden = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds
        ).last_hidden_state
        logits = self.classifier(hidden, attention_mask)
        loss = None if labels is None else binary_cross_entropy_with_logits(logits, labels.float())
        return SequenceClassifierOutput(loss=loss, logits=logits)


AutoConfig.register(LabelAttentionConfig.model_type, LabelAttentionConfig)
AutoModelForSequenceClassification.register(
    LabelAttentionConfig, LabelAttentionForSequenceClassification
)
