"""Makes an ONNX graph small: whatever depends on nothing but weights and fixed sizes is computed now.

Above all the normalisation of the weights, which training does in every forward pass, is gone afterwards.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper, shape_inference

IR_VERSION = 8  # readable by every ONNX Runtime since 1.13


def fold(path: Path) -> onnx.ModelProto:
    """The optimised graph of an ONNX file, in standard operators only; the file is overwritten on the way."""
    onnx.save(_with_fixed_sizes(onnx.load(path)), path)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # BASIC is what holds on every machine: constants are folded, the operators stay those of the standard.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    model = onnx.load(path)
    used = {node.domain for node in model.graph.node}
    opsets = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "diffvs", ""
    onnx.checker.check_model(model, full_check=True)
    return model


def _with_fixed_sizes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replaces every look at an axis whose size is known, Gather(Shape(x), axis), by the number.

    Tracing writes each size as such a look, since it cannot know which axis will stay as it is.
    """
    model = shape_inference.infer_shapes(model, data_prop=True)
    graph = model.graph
    typed = [*graph.input, *graph.value_info, *graph.output]
    sizes = {item.name: item.type.tensor_type.shape.dim for item in typed}
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    shapes = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Shape"}
    for node in graph.node:
        if node.op_type != "Gather" or node.input[0] not in shapes or node.input[1] not in constants:
            continue
        axes = sizes.get(shapes[node.input[0]])
        axis = constants[node.input[1]]
        if axes and axis.ndim == 0 and axes[int(axis)].HasField("dim_value"):
            size = numpy_helper.from_array(np.array(axes[int(axis)].dim_value, np.int64))
            node.CopyFrom(onnx.helper.make_node("Constant", [], [node.output[0]], value=size))
    return model
