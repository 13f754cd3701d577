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
# Those with a memory of their own, by ONNX Runtime's name for it: inputs are copied there, states stay there.
ON_DEVICE = {"cuda": "cuda", "tensorrt": "cuda", "directml": "dml"}
