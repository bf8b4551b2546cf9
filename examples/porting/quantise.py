#!/usr/bin/env python3
"""Rounds the weights of an ONNX model to 8 bits: quantise.py FROM.onnx TO.onnx [EXCLUDED_NODE …]"""

import sys

from onnxruntime.quantization import QuantType, quantize_dynamic


def quantise(source, target, excluded=()):
    quantize_dynamic(source, target, weight_type=QuantType.QInt8, nodes_to_exclude=list(excluded))


if __name__ == "__main__":
    quantise(sys.argv[1], sys.argv[2], sys.argv[3:])
