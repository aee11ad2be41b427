"""ModernBERT with exchangeable heads, which `adapters` 1.3 has for other families and not for this one.

`adapters` reaches its layers by hooks (`adapters.wrappers.interfaces`). Weights have the names that
`adapters.init(ModernBertForMaskedLM)` gives them, so that plain `adapters` loads the adapters, but not the heads.
"""

from __future__ import annotations

from typing import Any, ClassVar

from adapters.context import ForwardContext
from adapters.heads import ModelWithFlexibleHeadsAdaptersMixin
from adapters.model_mixin import EmbeddingAdaptersWrapperMixin
from torch import Tensor
from transformers import ModernBertConfig, ModernBertModel
from transformers.models.modernbert.modeling_modernbert import ModernBertPreTrainedModel

from badx_hub.modeling.init_adapters import init_adapters


class ModernBertAdapterModel(
    EmbeddingAdaptersWrapperMixin,  # type: ignore[misc]
    ModelWithFlexibleHeadsAdaptersMixin,  # type: ignore[misc]
    ModernBertPreTrainedModel,  # type: ignore[misc]
):
    """The encoder with adapters and any number of heads, as `adapters.BertAdapterModel` is for BERT."""

    head_types: ClassVar[list[str]] = ["classification", "tagging", "dependency_parsing"]

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__(config)
        self.model = ModernBertModel(config)
        init_adapters(self.model)
        self._init_head_modules()
        self.init_weights()

    @ForwardContext.wrap  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        return_dict: bool = True,
        head: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """The output of the active head, or of the one called `head`; of the encoder, if there is none.

        Args:
            input_ids: [batch, length].
            attention_mask: [batch, length], 0 at padding; default none.
            return_dict: True gives an object with names, False a tuple.
            kwargs: of the head, such as `labels`.
        """
        outputs = self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=return_dict)
        return self.forward_head(
            outputs, head_name=head, attention_mask=attention_mask, return_dict=return_dict, **kwargs
        )
