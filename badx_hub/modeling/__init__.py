"""The frozen base, the adapters in it and the masked-language-model loss."""
