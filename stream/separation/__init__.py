"""What turns a mixture into vocals: the separators, and the models that they run.

`separator` has the protocol; `load` chooses one; `diffusion` and `window` run exported models by `model`.
"""
