"""The metadata of cards, as the Hub's own library writes it."""

from huggingface_hub.repocard_data import EvalResult as EvalResult
from huggingface_hub.repocard_data import ModelCardData as ModelCardData
