"""The demo (`run`), and the files it works on: a small multilingual base, text, treebanks and one finished stack.

Lower floors read the files as data: `badx_hub.data.demo_data` and `badx_hub.modeling.embedded_base`.
"""
