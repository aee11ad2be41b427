"""Unlabelled text for masked-language modelling.

The way of the text: ``sources`` (raw lines) -> ``cleaning`` (empty lines, duplicates, NUL characters) ->
``packing`` (held-out split, token blocks on disk) -> ``schedule`` (which language a step draws) ->
``masking`` (what the model has to guess). What a step sees is a function of the text, the seed and the step
number alone.
"""
