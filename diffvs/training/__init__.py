"""A training run: batches to losses to better weights, and everything that goes on around it.

The command is `diffvs.train`. `run` goes step by step, `trainer` makes a step, `objective` says what is
learned, `options` and `plan` what was asked for.
"""
