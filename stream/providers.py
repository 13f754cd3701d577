"""What can run a model, by the names that users know; the names on the right are ONNX Runtime's."""

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
AUTO = ("cuda", "cpu")  # what `auto` tries, in this order; the others only run on demand
ON_DEVICE = {"cuda": "cuda", "tensorrt": "cuda"}  # those whose states live in the memory of this device
