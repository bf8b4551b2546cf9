"""Translates greedily with whole exports, and with the results of tied-convert split: the tokens must be equal.

usage: split.py TIED_CONVERT TIED
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

import parity
import tiny_translator as tiny

SOURCE = np.array([[5, 17, 80, 3, 41, 2]])
STEPS = 6
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64, "tensor(bool)": bool}



def table_used_twice():
    """Rows without their scale are also an output."""
    model = tiny.plain_decoder(tiny.head_copy)
    gather = next(node for node in model.graph.node if node.op_type == "Gather" and node.input[0] == tiny.WEIGHT)
    model.graph.node.append(onnx.helper.make_node("Neg", [gather.output[0]], ["negative"]))
    model.graph.output.append(tiny.value("negative", tiny.FLOAT, "batch", "decoder_length", tiny.COLS))
    return model


CASES = [
    ("plain", lambda: tiny.plain_decoder(tiny.head_transpose), False),
    ("plain, no scale", lambda: tiny.plain_decoder(tiny.head_transpose, scaled=False), False),
    ("plain, transposed copy", lambda: tiny.plain_decoder(tiny.head_copy), False),
    ("plain, bias", lambda: tiny.plain_decoder(tiny.head_bias), False),
    ("plain, T5", lambda: tiny.plain_decoder(tiny.head_t5), False),
    ("plain, decoder_input_ids", lambda: tiny.plain_decoder(tiny.head_bias, ids="decoder_input_ids"), False),
    ("rows used twice", table_used_twice, False),
    ("no scale in the encoder", lambda: tiny.plain_decoder(tiny.head_copy), False),
    ("merged", lambda: tiny.merged_decoder(tiny.head_transpose), True),
    ("merged, transposed copy", lambda: tiny.merged_decoder(tiny.head_copy), True),
    ("merged, bias", lambda: tiny.merged_decoder(tiny.head_bias), True),
]


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


class Whole:
    """The exports as they are."""

    def __init__(self, folder):
        self.encoder, self.decoder = session(folder / "encoder.onnx"), session(folder / "decoder.onnx")

    @staticmethod
    def run(onnx_session, outputs, given):
        """`given` may hold more inputs than the session has, and other floating-point types."""
        inputs = {value.name: TYPES[value.type] for value in onnx_session.get_inputs()}
        feeds = {name: array.astype(inputs[name]) for name, array in given.items() if name in inputs}
        return onnx_session.run(outputs, feeds)

    def encode(self, ids):
        return self.run(self.encoder, None, {"input_ids": ids})[0]

    def decode(self, ids, feeds):
        return self.run(self.decoder, None, {"input_ids": ids, "decoder_input_ids": ids, **feeds})


class Split(Whole):
    """Embeddings and logits from tied, the rest from the exports without the table."""

    def __init__(self, folder, tied):
        super().__init__(folder)
        self.folder, self.tied = folder, tied
        self.hidden = []  # of each step, the last token's

    def run_tied(self, feeds, output):
        return parity.run_tied(self.tied, str(self.folder / "model.tied"), feeds, [output], self.folder)[0]

    def feeds(self, ids):
        embeddings = self.run_tied({"input_ids": ids}, "embeddings")
        return {"input_ids": ids, "decoder_input_ids": ids, "inputs_embeds": embeddings}

    def encode(self, ids):
        return self.run(self.encoder, None, self.feeds(ids))[0]

    def decode(self, ids, feeds):
        names = [output.name for output in self.decoder.get_outputs()]
        hidden, *rest = self.run(self.decoder, ["hidden", *names[1:]], {**self.feeds(ids), **feeds})
        self.hidden.append(hidden[0, -1].astype(np.float32))
        return [self.run_tied({"hidden": hidden.astype(np.float32)}, "logits"), *rest]


def translate(model, merged, given=()):
    """Returns the greedy tokens, and the logits of each step. given: tokens to use instead of the model's choices."""
    encoded = model.encode(SOURCE)
    past = np.zeros((1, 0, tiny.COLS), np.float32)
    tokens, chosen, all_logits, cache = [2], [2], [], {"past_key": past, "past_value": past}
    for step in range(STEPS):
        feeds = {"encoder_hidden_states": encoded}
        if merged:
            feeds |= {"use_cache_branch": np.array([step > 0]), **cache}
        ids = np.array([tokens[-1:] if merged else tokens])
        logits, key, values, *_ = model.decode(ids, feeds)
        cache = {"past_key": key, "past_value": values}
        all_logits.append(logits[0, -1].astype(np.float32))
        chosen.append(int(logits[0, -1].argmax()))
        tokens.append(given[step + 1] if given else chosen[-1])
    return chosen, np.array(all_logits)


def write(folder, decoder, encoder, external):
    folder.mkdir()
    for name, model in (("decoder", decoder), ("encoder", encoder)):
        options = {"save_as_external_data": True, "location": f"{name}.bin", "size_threshold": 64} if external else {}
        onnx.save(model, folder / f"{name}.onnx", **options)
    return [str(folder / "decoder.onnx"), str(folder / "encoder.onnx")]


def check(convert, tied, make, merged, external, folder):
    exports = write(folder / "whole", make(), tiny.encoder(scaled="no scale" not in folder.name), external)
    split = folder / "split"
    subprocess.run([convert, "split", *exports, "-o", split, "--check", "-q"], check=True, capture_output=True)
    for name in ("decoder", "encoder"):
        onnx.checker.check_model(str(split / f"{name}.onnx"))
        shapes = [list(tensor.dims) for tensor in onnx.load(split / f"{name}.onnx").graph.initializer]
        assert [tiny.ROWS, tiny.COLS] not in shapes and [tiny.COLS, tiny.ROWS] not in shapes, shapes
        assert (split / f"{name}.onnx").stat().st_size < tiny.POSITIONS * tiny.COLS * 4
        assert (split / f"{name}.onnx.data").stat().st_size >= tiny.POSITIONS * tiny.COLS * 4
    expected, expected_logits = translate(Whole(folder / "whole"), merged)
    actual, actual_logits = translate(Split(split, tied), merged)
    assert expected == actual, (expected, actual)
    assert len(set(expected)) > 2, expected  # a model that says one thing only would show little
    return np.abs(expected_logits - actual_logits).max()


def check_smaller_vocabulary(convert, tied, folder):
    """Without the ids that a translation does not use, the result is the same."""
    exports = write(folder / "whole", tiny.merged_decoder(tiny.head_bias), tiny.encoder(), external=False)
    expected, _ = translate(Whole(folder / "whole"), merged=True)
    kept = sorted({*SOURCE[0], *expected, 0, 96})
    (folder / "keep.txt").write_text("\n".join(map(str, kept)))
    keep = ["--keep-ids", folder / "keep.txt"]
    subprocess.run([convert, "split", *exports, "-o", folder / "split", "-q", "--check", *keep], check=True)
    actual, logits = translate(Split(folder / "split", tied), merged=True)
    assert expected == actual, (expected, actual)
    assert np.array_equal(np.flatnonzero(np.isfinite(logits[0])), kept), logits[0]


def two_tables():
    """Another Gather by input_ids, on another matrix."""
    model = tiny.plain_decoder(tiny.head_transpose)
    model.graph.initializer.append(tiny.random("other", tiny.ROWS, tiny.COLS))
    model.graph.node.append(onnx.helper.make_node("Gather", ["other", "input_ids"], ["more"], name="second"))
    model.graph.output.append(tiny.value("more", tiny.FLOAT, "batch", "decoder_length", tiny.COLS))
    return model


def tanh_head(build, x):
    return build.add("Tanh", tiny.head_copy(build, x))


REFUSED = [
    ("two tables", two_tables, tiny.encoder, ["second", "Gather", "other"]),
    ("untied", lambda: tiny.plain_decoder(tiny.head_untied), tiny.encoder, ["not tied", "onnx::MatMul_1207"]),
    ("Tanh on logits", lambda: tiny.plain_decoder(tanh_head), tiny.encoder, ["Tanh", "computes the logits"]),
    ("another encoder", lambda: tiny.plain_decoder(tiny.head_copy), lambda: tiny.encoder(seed=1),
     ["encoder.onnx", "same table"]),
    ("encoder alone", tiny.encoder, tiny.encoder, ["no output 'logits'", "last_hidden_state", "--logits"]),
]


def check_refused(convert, make, make_encoder, words, folder):
    exports = write(folder / "whole", make(), make_encoder(), external=False)
    run = subprocess.run([convert, "split", *exports, "-o", folder / "split"], capture_output=True, text=True)
    assert run.returncode == 1 and all(word in run.stderr for word in words), (words, run.stderr)
    assert not list((folder / "split").glob("*")), "something was written"


def main():
    convert, tied = sys.argv[1:3]
    for name, make, merged in CASES:
        for external in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder) / name
                folder.mkdir()
                try:
                    worst = check(convert, tied, make, merged, external, folder)
                except subprocess.CalledProcessError as error:
                    sys.exit(f"{name}: {error.cmd}\n{error.stdout.decode()}{error.stderr.decode()}")
            where = "external" if external else "inside"
            print(f"{name:24} weights {where:9} same tokens, largest difference of logits {worst:.2e}")
    with tempfile.TemporaryDirectory() as folder:
        check_smaller_vocabulary(convert, tied, pathlib.Path(folder))
    print("smaller vocabulary       same tokens")
    for name, make, make_encoder, words in REFUSED:
        with tempfile.TemporaryDirectory() as folder:
            check_refused(convert, make, make_encoder, words, pathlib.Path(folder))
        print(f"{name:24} refused")


if __name__ == "__main__":
    main()
