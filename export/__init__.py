"""The only bridge between PyTorch and the live engine: a trained network becomes a verified ONNX model."""
