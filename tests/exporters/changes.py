"""Changes to exported files: quantise, simplify, optimise. Each function reads one file and writes another."""

import pathlib
import tempfile

import onnx
import onnxruntime
import onnxruntime.quantization as quantization
from onnxruntime.quantization import QuantFormat, QuantType

import generate


def load(path):
    return onnx.load(path)  # with its external data


def dynamic(weights, subgraphs=True, **options):
    """quantize_dynamic. EnableSubgraph: without it, nothing inside an If is quantised."""
    extra = {"EnableSubgraph": subgraphs, "MatMulConstBOnly": options.pop("const_b_only", True)}

    def change(source, target):
        quantization.quantize_dynamic(source, target, weight_type=QuantType[weights], extra_options=extra, **options)

    return change


class Calibration(quantization.CalibrationDataReader):
    def __init__(self, path):
        model = generate.session(path)
        self.feeds = iter([generate.example_feeds(model, seed) for seed in range(16)])

    def get_next(self):
        return next(self.feeds, None)


def static(style, activations, weights, ops=("MatMul", "Gather"), **options):
    """quantize_static. Quantising all operators (ops=None) makes a model with RMSNorm nearly useless."""

    def change(source, target):
        quantization.quantize_static(source, target, Calibration(source), quant_format=QuantFormat[style],
                                     activation_type=QuantType[activations], weight_type=QuantType[weights],
                                     op_types_to_quantize=ops, **options)

    return change


def blocks(bits, block_size, symmetric, gather=True, style="QOperator", algorithm=None, **options):
    """MatMulNBitsQuantizer: MatMulNBits, and GatherBlockQuantized or not."""

    def change(source, target):
        from onnxruntime.quantization import matmul_nbits_quantizer as nbits

        ops = ("MatMul", "Gather") if gather else ("MatMul",)
        if algorithm == "HQQ":
            config = nbits.HQQWeightOnlyQuantConfig(block_size=block_size, bits=bits, op_types_to_quantize=ops,
                                                    quant_axes=(("MatMul", 0), ("Gather", 1)))
        elif algorithm:
            config = getattr(nbits, f"{algorithm}WeightOnlyQuantConfig")(op_types_to_quantize=ops)
        else:
            config = nbits.DefaultWeightOnlyQuantConfig(
                block_size=block_size, is_symmetric=symmetric, bits=bits, quant_format=QuantFormat[style],
                op_types_to_quantize=ops, quant_axes=(("MatMul", 0), ("Gather", 1)), **options)
        quantizer = nbits.MatMulNBitsQuantizer(load(source), bits=bits, block_size=block_size, is_symmetric=symmetric,
                                               op_types_to_quantize=ops, algo_config=config)
        quantizer.process()
        onnx.save(quantizer.model.model, target)

    return change


def bnb4(source, target):
    """MatMulBnb4, as bitsandbytes quantises."""
    from onnxruntime.quantization.matmul_bnb4_quantizer import MatMulBnb4Quantizer

    quantizer = MatMulBnb4Quantizer(load(source), MatMulBnb4Quantizer.NF4, 64)
    quantizer.process()
    onnx.save(quantizer.model.model, target)


def float16(keep_types):
    def change(source, target):
        from onnxconverter_common import float16

        onnx.save(float16.convert_float_to_float16(load(source), keep_io_types=keep_types), target)

    return change


def onnxruntime_float16(source, target):
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(load(source), keep_io_types=True), target)


def simplify(source, target):
    import onnxsim

    model, ok = onnxsim.simplify(load(source))
    assert ok
    onnx.save(model, target)


def slim(source, target):
    import onnxslim

    onnx.save(onnxslim.slim(load(source)), target)


def transformers_optimiser(source, target):
    from onnxruntime.transformers.optimizer import optimize_model

    optimize_model(str(source), model_type="gpt2", num_heads=4, hidden_size=64).save_model_to_file(str(target))


def optimise(level):
    def change(source, target):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 4
        onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])

    return change


def preprocess(source, target):
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(str(source), str(target))


def olive(name, **options):
    """One pass of Olive."""

    def change(source, target):
        from olive.hardware import DEFAULT_CPU_ACCELERATOR
        from olive.model import ONNXModelHandler
        from olive.passes.olive_pass import create_pass_from_dict
        from olive.package_config import OlivePackageConfig

        module = OlivePackageConfig.load_default_config().import_pass_module(name)
        step = create_pass_from_dict(module, options, disable_search=True, accelerator_spec=DEFAULT_CPU_ACCELERATOR)
        with tempfile.TemporaryDirectory() as folder:
            made = step.run(ONNXModelHandler(str(source)), str(pathlib.Path(folder, "out")))
            onnx.save(load(made.model_path), target)

    return change


def then(*changes):
    def change(source, target):
        with tempfile.TemporaryDirectory() as folder:
            for i, step in enumerate(changes):
                following = target if i == len(changes) - 1 else pathlib.Path(folder, f"{i}.onnx")
                step(source, following)
                source = following

    return change


ROWS_UINT8 = dynamic("QUInt8", op_types_to_quantize=["Gather"])
HALF = olive("OnnxFloatToFloat16")
CONTRIB = {"UseQDQContribOps": True}
APP = dynamic("QUInt8", reduce_range=True, const_b_only=False)

# Name: (function, tolerance as a share of the largest logit).
QUANTISERS = {
    "dynamic QInt8": (dynamic("QInt8"), 0.05),
    "dynamic QUInt8": (dynamic("QUInt8"), 0.05),
    "dynamic QInt8, reduce_range": (dynamic("QInt8", reduce_range=True), 0.08),
    "dynamic QUInt8, reduce_range": (dynamic("QUInt8", reduce_range=True), 0.08),
    "dynamic QInt8, per_channel": (dynamic("QInt8", per_channel=True), 0.05),
    "dynamic QUInt8, per_channel": (dynamic("QUInt8", per_channel=True), 0.05),
    "dynamic QUInt8, per_channel, reduce_range": (dynamic("QUInt8", per_channel=True, reduce_range=True), 0.08),
    "dynamic QUInt8, MatMul only": (dynamic("QUInt8", op_types_to_quantize=["MatMul"]), 0.05),
    "dynamic, the app's": (APP, 0.08),
    "dynamic, the app's, ORT basic": (then(APP, optimise("BASIC")), 0.08),
    "dynamic, the app's, ORT extended": (then(APP, optimise("EXTENDED")), 0.08),
    "dynamic, the app's, ORT all": (then(APP, optimise("ALL")), 0.08),
    "static QDQ QInt8": (static("QDQ", "QInt8", "QInt8"), 0.1),
    "static QDQ QUInt8": (static("QDQ", "QUInt8", "QUInt8"), 0.1),
    "static QDQ QUInt8, QInt8 weights": (static("QDQ", "QUInt8", "QInt8"), 0.1),
    "static QDQ QUInt8, all operators": (static("QDQ", "QUInt8", "QUInt8", ops=None), 0.1),
    "static QDQ per_channel": (static("QDQ", "QUInt8", "QInt8", per_channel=True), 0.1),
    "static QDQ reduce_range": (static("QDQ", "QUInt8", "QInt8", reduce_range=True), 0.1),
    "static QDQ QInt16, QInt8 weights": (static("QDQ", "QInt16", "QInt8", extra_options=CONTRIB), 0.1),
    "static QDQ QInt4 weights": (static("QDQ", "QUInt8", "QInt4"), 0.2),
    "static QOperator QInt8": (static("QOperator", "QInt8", "QInt8"), 0.1),
    "static QOperator QUInt8": (static("QOperator", "QUInt8", "QUInt8"), 0.1),
    "static QOperator per_channel": (static("QOperator", "QUInt8", "QInt8", per_channel=True), 0.1),
    "4 bits, block 16": (blocks(4, 16, True), 0.05),
    "4 bits, block 32": (blocks(4, 32, True), 0.05),
    "4 bits, block 32, asymmetric": (blocks(4, 32, False), 0.05),
    "4 bits, block 64": (blocks(4, 64, True), 0.05),
    "4 bits, block 128, asymmetric": (blocks(4, 128, False), 0.05),
    "4 bits, block 32, MatMul only": (blocks(4, 32, True, gather=False), 0.05),
    "4 bits, block 32, accuracy level 4": (blocks(4, 32, True, accuracy_level=4), 0.05),
    "4 bits, block 32, QDQ": (blocks(4, 32, True, gather=False, style="QDQ"), 0.05),
    "4 bits, block 32, QDQ, asymmetric": (blocks(4, 32, False, gather=False, style="QDQ"), 0.05),
    "8 bits, block 32": (blocks(8, 32, True), 0.05),
    "8 bits, block 128, asymmetric": (blocks(8, 128, False), 0.05),
    "8 bits, block 32, MatMul only": (blocks(8, 32, False, gather=False), 0.05),
    "2 bits, block 32": (blocks(2, 32, False, gather=False), 0.05),
    "4 bits, HQQ": (blocks(4, 32, False, gather=False, algorithm="HQQ"), 0.05),
    "4 bits, RTN": (blocks(4, 32, True, algorithm="RTN"), 0.05),
    "4 bits, KQuant": (blocks(4, 32, False, algorithm="KQuant"), 0.05),
    "4 bits head, uint8 embedding": (then(blocks(4, 32, True, gather=False), ROWS_UINT8), 0.05),
    "8 bits head of block 128, uint8 embedding": (then(blocks(8, 128, False, gather=False), ROWS_UINT8), 0.05),
    "4 bits after float16": (then(HALF, blocks(4, 32, True)), 0.05),
    "bnb4 (NF4)": (bnb4, 0.05),
    "float16 of onnxconverter-common, types kept": (float16(True), 0.02),
    "float16 of onnxconverter-common": (float16(False), 0.02),
    "float16 of onnxruntime.transformers": (onnxruntime_float16, 0.02),
    "Olive OnnxDynamicQuantization": (olive("OnnxDynamicQuantization"), 0.08),
    "Olive OnnxBlockWiseRtnQuantization": (olive("OnnxBlockWiseRtnQuantization"), 0.05),
    "Olive OnnxKQuantQuantization": (olive("OnnxKQuantQuantization"), 0.05),
    "Olive OnnxHqqQuantization": (olive("OnnxHqqQuantization"), 0.05),
    "Olive OnnxFloatToFloat16": (olive("OnnxFloatToFloat16"), 0.02),
}
SIMPLIFIERS = {
    "onnxsim": (simplify, 1e-4),
    "onnxslim": (slim, 1e-4),
    "ORT basic": (optimise("BASIC"), 1e-4),
    "ORT extended": (optimise("EXTENDED"), 1e-4),
    "ORT all": (optimise("ALL"), 1e-4),
    "onnxruntime.transformers": (transformers_optimiser, 1e-4),
    "quant_pre_process": (preprocess, 1e-4),
    "Olive peephole": (olive("OnnxPeepholeOptimizer"), 1e-4),
    "Olive TieWordEmbeddings": (olive("GraphSurgeries", surgeries=[{"surgeon": "TieWordEmbeddings"}]), 1e-4),
}
