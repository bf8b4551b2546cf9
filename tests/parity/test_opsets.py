"""The models of models.py and quantised_models.py at every opset that the onnx package can write.

ONNX Runtime does not support the newest opsets, so the check of the conversion verifies the results.
"""

import numpy as np
import onnx
import pytest
import tied
from onnx import TensorProto, helper

import models
import quantised_models as quantised
from models import graphs

FIRST, NEWEST = 11, onnx.defs.onnx_opset_version()

FORMS = {f"{head.__name__}, {embed.__name__}": lambda head=head, embed=embed: models.make(head, embed)[0]
         for head, embed in zip(models.HEADS, [models.embed_reshaped, *models.EMBEDS, models.embed_reshaped])}
FORMS |= {form.__name__: form for form in (
    quantised.dynamic_uint8, quantised.dynamic_int8_tied, quantised.qdq, quantised.blocks_4_of_32, quantised.float16,
    quantised.bfloat16)}
SINCE = {"qdq": 13, "bfloat16": 13, "blocks_4_of_32": 13}  # scales by axis; bfloat16; and what the tools write

# Attributes that operations have from an opset on, with what changes nothing; what axes were before they were inputs.
ADDED = [("Reshape", 14, "allowzero", 0), ("Cast", 19, "saturate", 1), ("DequantizeLinear", 21, "block_size", 0),
         ("DequantizeLinear", 23, "output_dtype", TensorProto.FLOAT), ("Cast", 24, "round_mode", "up")]
AXES_WERE_ATTRIBUTES = {"Squeeze", "Unsqueeze"}


def at(model, opset):
    """Returns the model at an opset, with additional tensors of every type of that opset."""
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in (node for graph in graphs(model.graph) for node in graph.node):
        if node.op_type in AXES_WERE_ATTRIBUTES and opset < 13:
            node.attribute.append(helper.make_attribute("axes", constants[node.input[1]].tolist()))
            del node.input[1]
        for op, since, name, value in ADDED:
            if node.op_type == op and opset >= since:
                node.attribute.append(helper.make_attribute(name, value))
    default = next(imported for imported in model.opset_import if imported.domain in ("", "ai.onnx"))
    default.version = opset
    model.ir_version = helper.find_min_ir_version_for([default])
    if opset >= 25:
        for name, number in TensorProto.DataType.items():
            if name not in ("UNDEFINED", "STRING"):
                model.graph.initializer.append(helper.make_tensor(f"unused_{name}", number, [2], np.zeros(2)))
    onnx.checker.check_model(model)
    return model


@pytest.mark.parametrize("name", FORMS)
def test_every_opset(name, tmp_path):
    for opset in range(SINCE.get(name, FIRST), NEWEST + 1):
        tied.convert(at(FORMS[name](), opset), tmp_path / f"{opset}.tied", check=True)


def test_older_opsets_are_refused(tmp_path):
    old = at(models.make(models.head_matmul_transpose, models.embed_plain)[0], FIRST - 1)
    with pytest.raises(tied.ConvertError, match=f"{FIRST} and newer"):
        tied.convert(old, tmp_path / "model.tied")
