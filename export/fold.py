"""Makes an ONNX graph small: whatever depends on nothing but weights and fixed sizes is computed now."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime as ort

IR_VERSION = 8  # readable by every ONNX Runtime since 1.13


def fold(path: Path) -> onnx.ModelProto:
    """The optimised graph of an ONNX file, in standard operators only; the file is overwritten on the way."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # BASIC is what holds on every machine: constants are folded, the operators stay those of the standard.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return tidy(onnx.load(path))


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Asks of a runtime no more than the graph needs, and checks the graph."""
    used = {node.domain for node in model.graph.node}
    opsets = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "diffvs", ""
    onnx.checker.check_model(model, full_check=True)
    return model
