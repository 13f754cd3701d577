"""Stems on disk -> a cache of decoded audio -> training examples.

`audio` decodes any file; `readers` know how data sets lie on disk; `cache` holds what was decoded; `prepare`
fills it; `library` says what a cache offers; `augment` changes sounds; `examples` makes one example; `loader`
batches of them; `validation` gives the songs a model is measured on; `debian` serves diffvs.corpus.
"""
