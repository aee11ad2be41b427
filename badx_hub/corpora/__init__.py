"""Unlabelled text for masked-language modelling.

The way of the text: `sources` (raw lines) -> `cleaning` (empty lines, duplicates, NUL characters) -> `packing`
(held-out split, token blocks) -> `blocks` (their cache on disk) -> `schedule` (the language of a step) -> `masking`
(what the model has to guess). What a step sees depends on the text, the seed and the step number alone.
"""
