"""The models of models.py: pairs behind an If, and heads that select."""

import numpy as np
import onnx
import pytest
import tied

import models
from runners import random_hidden, rounding_bound, run_onnxruntime, run_tied


def run_both(model, all_feeds, outputs, folder):
    """Returns the results of ONNX Runtime and of tied for each feed, after comparing shapes and types."""
    source, target = folder / "model.onnx", folder / "model.tied"
    onnx.save(model, source)
    tied.convert(source, target, check=True)
    for feeds in all_feeds:
        expected = run_onnxruntime(source, feeds, outputs)
        actual = run_tied(target, feeds, outputs)
        for e, a in zip(expected, actual):
            assert e.shape == a.shape and e.dtype == a.dtype
        yield feeds, expected, actual


@pytest.mark.parametrize("embed", models.EMBEDS)
@pytest.mark.parametrize("head", models.HEADS)
def test_if(head, embed, tmp_path):
    model, weight = models.make(head, embed)
    all_feeds = [
        {
            "use_lm_head": np.array([selector]),
            "input_ids": np.random.default_rng(seq).integers(0, models.ROWS, (batch, seq)),
            "pre_logits": random_hidden(batch, models.COLS),
        }
        for batch, seq in ((1, 1), (4, 7))
        for selector in (True, False)
    ]
    for feeds, expected, actual in run_both(model, all_feeds, ["embed_matrix", "logits"], tmp_path):
        assert np.array_equal(expected[0], actual[0])
        if feeds["use_lm_head"][0]:
            error = np.abs(expected[1].astype(np.float64) - actual[1])
            assert (error <= rounding_bound(weight, feeds["pre_logits"])).all()


@pytest.mark.parametrize("select", models.SELECTIONS)
def test_selection(select, tmp_path):
    """The same ids, and values within the bound."""
    model, weight = models.make_selection(select)
    outputs = [output.name for output in model.graph.output]
    all_feeds = [{"pre_logits": random_hidden(batch, models.COLS)} for batch in (1, 4)]
    for feeds, expected, actual in run_both(model, all_feeds, outputs, tmp_path):
        # A value is a logit; with LogSoftmax, its error is at most the largest error of a logit.
        most = 2 * rounding_bound(weight, feeds["pre_logits"]).max(axis=-1, keepdims=True)
        for name, e, a in zip(outputs, expected, actual):
            assert (np.abs(e.astype(np.float64) - a) <= (0 if name == "ids" else most)).all()
