"""tied.convert() and tied.split(), their reports and errors, and the commands."""

import os
import pathlib
import sys

import models
import numpy as np
import pytest
import tied


@pytest.mark.parametrize("dtype, lossless", [("auto", True), ("float32", True), ("float16", True), ("int8", False),
                                             ("int8-blocks", False), ("int4", False)])
def test_report(source, tmp_path, dtype, lossless):
    output = tmp_path / "out.tied"
    report = tied.convert(source, output, table="embed", dtype=dtype, check=True, recorded=models.hidden(20))
    (table,) = report.tables
    assert report.written and report.output == str(output) and report.bytes == output.stat().st_size
    assert (table.name, table.rows, table.cols, table.lossless) == ("embed", models.ROWS, models.COLS, lossless)
    assert table.dtype == ("float16" if dtype == "auto" else dtype)
    assert report.check.passed and report.check.outputs
    assert (report.error is None) == lossless
    if not lossless:
        recorded = [item for item in report.error.logits if item.hidden == "recorded"]
        assert recorded[0].tokens == 20 and 0 < recorded[0].overlap <= 1
    assert tied.Model(output).info.tables[0].dtype == table.dtype.replace("-blocks", "")


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("as_file", [True, False])
def test_some_ids(source, tmp_path, keep, as_file):
    ids = np.array([3, 5, 250])
    listed = ids
    if as_file:
        listed = tmp_path / "ids"
        listed.write_text("3 5\n250 # the last\n")
    tied.convert(source, tmp_path / "out.tied", table="embed", **{"keep_ids" if keep else "drop_ids": listed})
    session = tied.Session(tied.Model(tmp_path / "out.tied"))
    kept = ids if keep else np.setdiff1d(np.arange(models.ROWS), ids)
    logits = session.logits(models.hidden())
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(logits)), kept)
    with pytest.raises(tied.OutOfRangeError, match="dropped" if keep else "3"):
        session.embed([4 if keep else 3])


def test_progress(source, tmp_path):
    steps = []
    tied.convert(source, tmp_path / "a.tied", table="embed", progress=lambda *step: steps.append(step))
    assert {step for step, _, _ in steps} >= {"reading", "writing"}
    assert all(0 <= done <= total for _, done, total in steps)
    assert steps[-1][1] == steps[-1][2]


class Stop(Exception):
    pass


def stop(*step):
    raise Stop(step)


def test_an_exception_of_progress_ends_the_conversion(source, tmp_path):
    with pytest.raises(Stop):
        tied.convert(source, tmp_path / "a.tied", table="embed", progress=stop)
    assert os.listdir(tmp_path) == []


def test_a_bar_if_tqdm_is_installed(source, tmp_path, monkeypatch):
    shown = []

    class Bar:
        def __init__(self, desc, total, **options):
            self.desc, self.total, self.n = desc, total, 0

        def update(self, n):
            self.n += n

        def close(self):
            shown.append((self.desc, self.n == self.total))

    monkeypatch.setitem(sys.modules, "tqdm", type("tqdm", (), {"tqdm": Bar}))
    tied.convert(source, tmp_path / "a.tied", table="embed", progress=True)
    assert ("writing", True) in shown
    monkeypatch.setitem(sys.modules, "tqdm", None)
    tied.convert(source, tmp_path / "a.tied", table="embed", progress=True)


@pytest.mark.parametrize("options, error, message", [
    ({"table": "no such"}, tied.ConvertError, "no such"),
    ({"table": "embed", "bias": "missing"}, tied.ConvertError, "missing"),
    ({"table": "embed", "dtype": "float8"}, ValueError, "auto, float32, float16, bfloat16, int8, int8-blocks, int4"),
    ({"table": "embed", "tie": "both"}, ValueError, "finer, embedding, head"),
    ({"table": "embed", "keep_ids": [models.ROWS]}, tied.ConvertError, "300"),
    ({"table": "embed", "keep_ids": [1], "drop_ids": [2]}, ValueError, "not both"),
    ({"table": "embed", "recorded": "/no/such"}, FileNotFoundError, "/no/such"),
    ({"table": "embed", "recorded": np.ones((2, 3), np.float32)}, tied.ConvertError, "hidden"),
])
def test_refusals(source, tmp_path, options, error, message):
    output = tmp_path / "out.tied"
    output.write_text("old")
    with pytest.raises(error, match=message) as raised:
        tied.convert(source, output, **{"dtype": "int8", **options})
    assert output.read_text() == "old"
    if isinstance(raised.value, tied.ConvertError):
        assert isinstance(raised.value, tied.Error) and raised.value.status is None


@pytest.mark.parametrize("model, error", [
    ("/no/such.onnx", FileNotFoundError), (b"bytes", TypeError), (3, TypeError), ("a\0b", ValueError)])
def test_models_that_are_none(model, error, tmp_path):
    with pytest.raises(error):
        tied.convert(model, tmp_path / "out.tied")
    with pytest.raises((tied.Error, TypeError, ValueError)):
        tied.split([model], tmp_path / "out")


class InMemory:
    """A model of transformers: it saves what from_pretrained() reads."""

    def save_pretrained(self, folder, safe_serialization):
        pathlib.Path(folder).mkdir()
        assert safe_serialization
        models.write(pathlib.Path(folder) / "model.safetensors")
        (pathlib.Path(folder) / "config.json").write_text('{"model_type": "none"}')


def test_model_of_transformers(tmp_path):
    tied.convert(InMemory(), tmp_path / "out.tied", table="embed", bias="bias")
    np.testing.assert_array_equal(tied.Session(tied.Model(tmp_path / "out.tied")).embed([4]), models.table()[[4]])


def pair(onnx):
    """An ONNX model of a pair, and its output of logits."""
    helper, float_, int64 = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["embeddings"]),
         helper.make_node("Tanh", ["embeddings"], ["state"]),
         helper.make_node("Transpose", ["table"], ["transposed"], perm=[1, 0]),
         helper.make_node("MatMul", ["state", "transposed"], ["logits"])],
        "decoder", [helper.make_tensor_value_info("input_ids", int64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", float_, ["batch", "length", models.ROWS])],
        [onnx.numpy_helper.from_array(models.table(), "table")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_split(tmp_path):
    onnx = pytest.importorskip("onnx")
    onnx.save(pair(onnx), tmp_path / "decoder.onnx")
    report = tied.split(tmp_path / "decoder.onnx", tmp_path / "out", hidden="state_out")
    assert report.written and sorted(os.listdir(tmp_path / "out")) == ["decoder.onnx", "model.tied"]
    rest = onnx.load(tmp_path / "out" / "decoder.onnx")
    assert [output.name for output in rest.graph.output] == ["state_out"]
    np.testing.assert_array_equal(
        tied.Session(tied.Model(tmp_path / "out" / "model.tied")).embed([7]), models.table()[[7]])
    with pytest.raises(tied.ConvertError, match="split"):  # as an onnx.ModelProto
        tied.convert(onnx.load(tmp_path / "decoder.onnx"), tmp_path / "whole.tied")


@pytest.mark.parametrize("command", ["tied", "tied-convert"])
def test_commands(command, run_python):
    code = f"import sys; sys.argv = ['x', '--version']; import tied._commands as c; c.{command.replace('-', '_')}()"
    assert tied.__version__ in run_python(code).stdout


def test_calibrated_screen(tmp_path):
    rows, cols = 200, 128
    numbers = np.random.default_rng(1)
    source = models.write(tmp_path / "model.safetensors", numbers.standard_normal((rows, cols), np.float32), biased=False)
    hidden = numbers.standard_normal((20, cols), np.float32)
    hidden[:, ::8] *= 100
    output = tmp_path / "out.tied"
    tied.convert(source, output, table="embed", dtype="float32", screen=True, calibrate=hidden)
    with tied.Model(output) as model:
        assert model.info.tables[0].planes["screen_column_values"].length == 16 * rows
        session = tied.Session(model, threads=1)
        best, full = session.topk(hidden, 5), session.topk(hidden, 5, use_screen=False)
        assert (best.ids == full.ids).all() and (best.logits == full.logits).all()
    with pytest.raises(ValueError, match="screen=True"):
        tied.convert(source, output, table="embed", calibrate=hidden)
