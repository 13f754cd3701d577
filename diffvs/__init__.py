"""Learning and offline separation: the Diff-VS denoiser in PyTorch, its data, training and evaluation."""
