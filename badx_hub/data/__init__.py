"""Annotated and plain data, read in one way.

`lines` opens and decodes text files; `splits` finds the files of a data set's train, dev and test split. On them stand
the formats: `conllu` and `columns` for words, `pairs` for sentence pairs, `rows` for data sets of the Hub. `treebanks`
finds treebanks by name and `embedded` the data inside the package. No torch.
"""
