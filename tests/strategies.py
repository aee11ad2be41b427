"""Hypothesis strategies for languages and mixtures."""

from __future__ import annotations

from hypothesis import strategies as st

from badx_hub.languages import MAX_WEIGHT, Mixture

TAGS = (
    *("en", "wo", "bm", "ay", "fo", "ug", "zh", "pt", "br", "nah", "hch", "git", "mlm", "pos", "yue"),
    *("zh-Hant", "sr-Latn", "wo-Arab", "pt-BR", "es-419", "zh-Hant-TW", "de-1901", "ca-valencia", "sr-Latn-RS"),
)


def tags() -> st.SearchStrategy[str]:
    return st.sampled_from(TAGS)


@st.composite
def mixtures(draw: st.DrawFn, max_size: int = 6) -> Mixture:
    languages = draw(st.lists(tags(), min_size=1, max_size=max_size, unique=True))
    if len(languages) == 1:
        return Mixture(((languages[0], 1),))
    weight = st.one_of(st.just(1), st.integers(1, MAX_WEIGHT))
    return Mixture(tuple((tag, draw(weight)) for tag in languages))
