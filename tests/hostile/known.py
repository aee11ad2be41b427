"""Artefacts that get through today: which commands do not hold, and the finding that says what is wrong.

A block is the number of the finding, the kind, the commands, and the names of the artefacts on which just these do not
hold. An artefact on which one of them holds fails the tests, so that whoever mends it takes it out. The findings:

2. weights that the adapter does not have are taken; 3. a base brings code; 6. a base's tokenizer and configuration have
no digest; 7. memory and time have no bound; 9. configurations and weights are used unchecked; 10. control characters
are printed; 11. errors of other libraries, and messages without end.
"""

from __future__ import annotations

_BLOCKS: tuple[tuple[int, str, str, str], ...] = (
    (
        2,
        "headers",
        "load",
        """
    a-key-twice 100000-empty-tensors key-escapes key-lines key-empty key-long key-dunder head-a-key-twice
    head-100000-empty-tensors head-key-escapes head-key-empty head-key-dunder
""",
    ),
    (
        2,
        "weights",
        "load",
        """
    ba-first-flat ba-first-twice ta-first-flat ta-first-twice head-first-flat head-first-twice
""",
    ),
    (
        2,
        "weights",
        "load predict",
        """
    ba-with-the-base-words ba-with-the-base-words-unprefixed ba-with-a-base-attention
    ba-with-a-base-attention-unprefixed ba-with-a-base-norm ba-with-a-base-bias ba-with-the-base-pooler
    ba-with-the-ba-under-it ba-with-the-bias-of-the-ba ba-with-a-head-of-another ba-with-an-unknown-name
    ba-with-a-dunder ba-with-an-invertible-part ba-with-a-module ba-with-an-escape ta-with-the-base-words
    ta-with-the-base-words-unprefixed ta-with-a-base-attention ta-with-a-base-attention-unprefixed ta-with-a-base-norm
    ta-with-a-base-bias ta-with-the-base-pooler ta-with-the-ba-under-it ta-with-the-bias-of-the-ba
    ta-with-a-head-of-another ta-with-an-unknown-name ta-with-a-dunder ta-with-an-invertible-part ta-with-a-module
    ta-with-an-escape head-with-the-base-words head-with-the-base-words-unprefixed head-with-a-base-attention
    head-with-a-base-attention-unprefixed head-with-a-base-norm head-with-a-base-bias head-with-the-base-pooler
    head-with-the-ba-under-it head-with-the-bias-of-the-ba head-with-a-head-of-another head-with-an-unknown-name
    head-with-a-dunder head-with-an-invertible-part head-with-a-module head-with-an-escape
""",
    ),
    (3, "bases", "predict", "config-auto-map config-auto-map-text tokenizer-auto-map"),
    (
        3,
        "bases",
        "predict train",
        """
    config-auto-map-of-an-unknown-type config-auto-map-of-no-type tokenizer-auto-map-of-an-unknown-class
""",
    ),
    (
        6,
        "bases",
        "predict",
        """
    config-kernels config-kernels-pinned config-kernels-path config-attention-unknown config-attention-list
    config-hidden-size-huge config-hidden-size-infinite config-hidden-size-negative config-hidden-size-zero
    config-hidden-size-text config-hidden-size-list config-hidden-size-other config-vocabulary-large
    config-vocabulary-negative config-layers-none config-layers-null config-positions-huge config-positions-zero
    config-positions-text config-intermediate-huge config-heads-zero config-heads-huge config-labels-huge
    config-labels-text config-type-escape config-type-number config-activation config-activation-other
    config-dtype-unknown config-dtype-int config-dtype-dict config-quantised config-quantised-bnb
    config-quantised-text config-adapters config-adapters-text config-heads-of-adapters config-pruned-text
    config-decoder config-positions-of-another-kind config-epsilon-nan config-epsilon-huge config-pad-far
    config-pad-negative config-deep tokenizer.json-empty tokenizer_config.json-empty tokenizer.json-null
    tokenizer_config.json-null tokenizer.json-list tokenizer_config.json-list tokenizer.json-4400-digits
    tokenizer_config.json-4400-digits config.json-deep tokenizer.json-deep tokenizer_config.json-deep
    tokenizer.json-nul tokenizer_config.json-nul tokenizer.json-not-utf-8 tokenizer_config.json-not-utf-8
    tokenizer.json-large tokenizer_config.json-large tokenizer-class-unknown tokenizer-class-list tokenizer-class-slow
    tokenizer-length-text tokenizer-length-digits tokenizer-special-number tokenizer-special-escape
    tokenizer-special-added tokenizer-pad-other tokenizer-mask-gone tokenizer-added tokenizer-permuted
    tokenizer-two-exchanged tokenizer-far tokenizer-slow-pattern tokenizer-grows tokenizer-no-normaliser
    tokenizer-unknown-model tokenizer-no-vocabulary tokenizer-gone tokenizer-pipe config-pipe config-device
    config-sparse weights-pipe
""",
    ),
    (
        6,
        "bases",
        "predict train",
        """
    config-kernels-private config-kernels-internal config-hidden-size-nan config-vocabulary-huge
    config-vocabulary-text config-type-path config-type-long config-activation-list config-pruned
""",
    ),
    (
        7,
        "configs",
        "load",
        """
    reduction_factor-tiny reduction_factor-small reduction_factor-of-layers phm-rank invertible architecture-prefix
    architecture-prompt whole-lora-huge whole-lora-huger whole-lora-all-matrices whole-prefix-huge whole-prefix-wide
    whole-prompt-huge
""",
    ),
    (7, "heads", "load", "num_labels-huge num_labels-large layers-huge layers-many"),
    (7, "bases", "predict", "config-layers-huge weights-huge"),
    (
        7,
        "imports",
        "import",
        """
    reduction_factor-tiny reduction_factor-small reduction_factor-of-layers phm-rank invertible architecture-prefix
    architecture-prompt whole-lora-huge whole-lora-huger whole-lora-all-matrices whole-prefix-huge whole-prefix-wide
    whole-prompt-huge
""",
    ),
    (
        9,
        "weights",
        "load",
        """
    ba-nan ba-one-nan ba-inf ba-one-inf ba-minus-inf ba-as-int8 ba-as-int32 ba-as-int64 ba-as-uint8 ba-as-bool
    ba-as-complex64 ba-as-float8_e4m3fn ba-first-int64 ba-first-bool ba-first-uint8 ta-nan ta-one-nan ta-inf
    ta-one-inf ta-minus-inf ta-as-int8 ta-as-int32 ta-as-int64 ta-as-uint8 ta-as-bool ta-as-complex64
    ta-as-float8_e4m3fn ta-first-int64 ta-first-bool ta-first-uint8 head-nan head-one-nan head-inf head-one-inf
    head-minus-inf head-as-int8 head-as-int32 head-as-int64 head-as-uint8 head-as-bool head-as-complex64
    head-as-float8_e4m3fn head-first-int64 head-first-bool head-first-uint8
""",
    ),
    (
        9,
        "configs",
        "load",
        """
    reduction_factor-null reduction_factor-text reduction_factor-empty-text reduction_factor-list
    reduction_factor-object reduction_factor-nested reduction_factor-zero reduction_factor-nan
    reduction_factor-4400-digits scaling-null scaling-true scaling-text scaling-empty-text scaling-list scaling-object
    scaling-nested scaling-negative scaling-zero scaling-1e999 scaling-nan scaling-infinity scaling-4400-digits
    non_linearity-null non_linearity-true non_linearity-empty-text non_linearity-list non_linearity-object
    non_linearity-4400-digits leave_out-true leave_out-text leave_out-negative leave_out-fraction leave_out-nan
    dropout-null dropout-text dropout-list dropout-negative dropout-fraction dropout-nan dropout-1e999
    init_weights-null init_weights-list init_weights-object reduction_factor-denormal reduction_factor-of-defaults phm
    invertible-unknown leave-out-everything leave-out-a-million non-linearity-of-python non-linearity-escape
    non-linearity-long no-output-adapter dunder-key architecture-unknown architecture-union architecture-list
    stochastic-depth whole-lora-svd whole-prompt-text whole-reft-huge whole-reft-layers whole-vera whole-union-deep
    whole-union-of-a-thousand whole-name-of-a-hub whole-path whole-url whole-number whole-4400-digits name-gone
    version-list config-gone config-id file-empty file-blank file-null file-list file-text file-number
    file-4400-digits file-cut file-comment file-nul file-bom file-surrogate file-utf-16 file-long file-a-million-keys
""",
    ),
    (
        9,
        "heads",
        "load",
        """
    num_labels-null num_labels-true num_labels-text num_labels-empty-text num_labels-list num_labels-object
    num_labels-nested num_labels-fraction num_labels-1e308 num_labels-1e999 num_labels-nan num_labels-infinity
    num_labels-4400-digits layers-null layers-text layers-empty-text layers-list layers-object layers-nested
    layers-fraction layers-1e308 layers-1e999 layers-nan layers-infinity layers-4400-digits head_type-null
    head_type-text head_type-empty-text head_type-list head_type-object head_type-4400-digits
    activation_function-4400-digits label2id-true label2id-text label2id-list label2id-negative dropout_prob-text
    dropout_prob-list dropout_prob-negative dropout_prob-fraction dropout_prob-nan bias labels-many labels-digits
    labels-null labels-escapes type-masked-lm type-causal-lm type-seq2seq-lm type-dependency type-qa type-image
    type-classification type-multilabel type-choice type-python type-escape vocab-huge surprise dunder config-null
    config-list config-text config-empty config-gone name-gone model-class-unknown model-class-gone file-empty
    file-null file-list file-4400-digits file-nul file-cut file-not-utf-8
""",
    ),
    (
        9,
        "imports",
        "import",
        """
    reduction_factor-denormal phm leave-out-everything leave-out-a-million non-linearity-long no-output-adapter
    architecture-union stochastic-depth file-deep-lists file-deep-objects weights-nan weights-one-inf weights-as-int64
    weights-as-bool header-key-escapes
""",
    ),
    (11, "folders", "list verify", "whole-many-versions"),
    (
        7,
        "pickles",
        "convert",
        """
    bytearray-of-8-gb head-bytearray-of-8-gb shape-of-8-gb-by-stride-0 head-shape-of-8-gb-by-stride-0
    shape-of-2-gb-by-stride-0 unicode-of-4-gb head-unicode-of-4-gb meta-of-8-gb expanded-many head-expanded-many
""",
    ),
    (7, "pickles", "convert convert-json", "shape-of-8-eb-by-stride-0 quantised expanded-2-gb"),
)

KNOWN = {f"{kind}/{name}": (commands, finding) for finding, kind, commands, names in _BLOCKS for name in names.split()}
"""The commands that do not hold, and the number of the finding, by the name of the artefact."""
