"""Runs the same model with ONNX Runtime and with tied."""

import numpy as np
import onnxruntime
import tied

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int32)": np.int32,
         "tensor(int64)": np.int64, "tensor(bool)": bool}


def session(path, optimise=True):
    """Without optimisation, ONNX Runtime does not round hidden states to eight bits in products of DequantizeLinear."""
    options = onnxruntime.SessionOptions()
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_session(onnx_session, outputs, given):
    """`given` may hold more inputs than the session has, and other floating-point types. outputs: None for all."""
    inputs = {value.name: TYPES[value.type] for value in onnx_session.get_inputs()}
    feeds = {name: array.astype(inputs[name]) for name, array in given.items() if name in inputs}
    return onnx_session.run(outputs, feeds)


def run_onnxruntime(path, feeds, outputs, optimise=True):
    return run_session(session(path, optimise), outputs, feeds)


def run_tied(path, feeds, outputs):
    with tied.Model(path) as model, tied.Session(model) as opened:
        results = opened.run(feeds, outputs)
    return [results[name] for name in outputs]


def rounding_bound(weight, hidden):
    """Twice gamma_n * sum |w||x| (Higham 2002, 3.1), because both sides round, in different orders."""
    n = weight.shape[1] + 1
    gamma = n * 2.0**-24 / (1 - n * 2.0**-24)
    return 2 * gamma * (np.abs(hidden).astype(np.float64) @ np.abs(weight).astype(np.float64).T + 1)


def random_hidden(batch, cols):
    return np.random.default_rng(batch).normal(0, 1, (batch, 1, cols)).astype(np.float32)
