"""Whole exports, quantised by common tools."""

import logging
import pathlib
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime import quantization
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from onnxruntime.transformers.float16 import convert_float_to_float16

import tiny_translator as tiny

logging.disable(logging.WARNING)  # the quantizers recommend steps that these models do not need
UINT8, INT8 = quantization.QuantType.QUInt8, quantization.QuantType.QInt8


def _in_files(model, quantise):
    with tempfile.TemporaryDirectory() as folder:
        before, after = pathlib.Path(folder) / "before.onnx", pathlib.Path(folder) / "after.onnx"
        onnx.save(model, before)
        quantise(before, after)
        return onnx.load(after)


def dynamic(weight_type=UINT8, **options):
    """quantize_dynamic(), in branches too, as for merged decoders."""
    options["extra_options"] = {"EnableSubgraph": True}
    return lambda model: _in_files(
        model, lambda before, after: quantization.quantize_dynamic(before, after, weight_type=weight_type, **options))


class _Calibration(quantization.CalibrationDataReader):
    """Feeds of random numbers for the inputs that a model has."""

    def __init__(self, model):
        names = {value.name for value in model.graph.input}
        hidden = np.random.default_rng(0).normal(0, 1, (1, 6, tiny.COLS)).astype(np.float32)
        feeds = {"input_ids": np.array([[5, 17, 80, 3, 41, 2]]), "encoder_hidden_states": hidden}
        self.feeds = iter([{name: array for name, array in feeds.items() if name in names}])

    def get_next(self):
        return next(self.feeds, None)


def static(model):
    """quantize_static(): QuantizeLinear and DequantizeLinear around everything."""
    return _in_files(model, lambda before, after: quantization.quantize_static(
        before, after, _Calibration(model), weight_type=INT8, activation_type=UINT8))


def half(keep_io_types):
    return lambda model: convert_float_to_float16(model, keep_io_types=keep_io_types)


def blocks(bits):
    """MatMulNBits and GatherBlockQuantized."""
    def quantise(model):
        config = DefaultWeightOnlyQuantConfig(
            block_size=32, is_symmetric=True, bits=bits, quant_axes=(("MatMul", 0), ("Gather", 1)),
            op_types_to_quantize=("MatMul", "Gather"))
        quantizer = MatMulNBitsQuantizer(model, algo_config=config)
        quantizer.process()
        return quantizer.model.model
    return quantise


def rows(model):
    """Only the table is int8, with one scale per row, and both uses share one DequantizeLinear."""
    table = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [tiny.ROWS, tiny.COLS])
    values = numpy_helper.to_array(table)
    scales = (np.abs(values).max(axis=1) / 127).astype(np.float32)
    name = table.name
    table.CopyFrom(numpy_helper.from_array(np.rint(values / scales[:, None]).astype(np.int8), name + "_quantized"))
    model.graph.initializer.append(numpy_helper.from_array(scales, name + "_scale"))
    node = helper.make_node("DequantizeLinear", [name + "_quantized", name + "_scale"], [name], axis=0, name="table")
    model.graph.node.insert(0, node)
    return model
