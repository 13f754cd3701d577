"""Stems on disk -> a cache of decoded audio -> training examples.

To the cache: `audio` reads any file, `readers` know how data sets lie on disk, `decode` turns a recording
into stems, `cache` holds them, `variants` adds processed copies, `prepare` does it all from the command
line in `workers`.
From the cache: `library` says what there is to draw, `augment` changes sounds, `examples` makes one
example, `loader` batches of them, `validation` the songs a model is measured on. `debian` serves
diffvs.corpus.
"""
