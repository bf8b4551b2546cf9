"""The models of app_models.py. Each cell of layout, If, quantiser and optimisation is converted right, or refused
because its two tables are not the same; then `allow_untied` converts it. Without the environment variable
TIED_ALL_CELLS, one cell in seven.
"""

import os

import numpy as np
import onnx
import pytest
import tied

import app_models as models
from runners import run_onnxruntime, run_tied

STEP = 1 if "TIED_ALL_CELLS" in os.environ else 7  # prime to the number of layouts, quantisers and levels


def convert(source, target):
    try:
        tied.convert(source, target, check=True)
    except tied.ConvertError as refusal:
        assert "are not tied" in str(refusal) and "--allow-untied" in str(refusal)
        tied.convert(source, target, check=True, allow_untied=True)


@pytest.mark.parametrize("cell", list(models.cells())[::STEP], ids=lambda cell: models.name(*cell))
def test_app(cell, tmp_path):
    source, target = tmp_path / "model.onnx", tmp_path / "model.tied"
    onnx.save(models.make(*cell), source)
    convert(source, target)
    random = np.random.default_rng(4)
    feeds = {
        "input_ids": random.integers(0, models.ROWS, (2, models.LENGTH)),
        "pre_logits": random.normal(0, 1, (3, 1, models.COLS)).astype(np.float32),
    }
    for selector, output in ((False, "embed_matrix"), (True, "logits")):
        if cell[1]:
            feeds["use_lm_head"] = np.array([selector])
        expected = run_onnxruntime(source, feeds, [output], optimise=False)[0]
        actual = run_tied(target, feeds, [output])[0]
        assert expected.shape == actual.shape
        # If the graph rounds hidden states to 8 bits, each has an independent error of half a step.
        quantised = cell[2] is not None and output == "logits"
        step = np.abs(feeds["pre_logits"]).max() * 2 / 255
        bound = 4 * step * np.sqrt(models.COLS) * np.abs(models.weight()).std() if quantised else 1e-5
        assert np.abs(expected.astype(np.float64) - actual).max() <= bound
