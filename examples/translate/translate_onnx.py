"""Translates sentences with the trained model as ONNX files: first whole encoder and decoder in ONNX Runtime, then both
without the table, which `tied-convert split` took out, next to tied. Tokens must be equal; memory is compared.

usage: translate_onnx.py [--direction en-pt|pt-en] SENTENCE …
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np


class WholeModel:
    """Encoder and decoder as they were exported."""

    def __init__(self, folder):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the model is small

        def load(name):
            return onnxruntime.InferenceSession(folder / f"{name}.onnx", options, providers=["CPUExecutionProvider"])

        self.encoder, self.decoder = load("encoder"), load("decoder")
        self.read = {value.name for session in (self.encoder, self.decoder) for value in session.get_inputs()}

    def encode(self, ids):
        return self.encoder.run(["last_hidden_state"], {"input_ids": ids})[0]

    def step(self, token, feeds):
        """(best id, new cache) after `token`."""
        logits, *cache = self.decoder.run(["logits", "present_1", "present_2"], {"input_ids": token, **feeds})
        return int(np.argmax(logits)), cache


class SplitModel(WholeModel):
    """Encoder and decoder without the table."""

    def __init__(self, folder):
        import tied

        super().__init__(folder)
        self.session = tied.Session(tied.Model(folder / "model.tied"), threads=1)

    def encode(self, ids):
        feeds = {"input_ids": ids, "inputs_embeds": self.session.embed(ids)}
        return self.encoder.run(["last_hidden_state"], {name: feeds[name] for name in feeds if name in self.read})[0]

    def step(self, token, feeds):
        feeds = {"inputs_embeds": self.session.embed(token), **feeds}
        hidden, *cache = self.decoder.run(["hidden", "present_1", "present_2"], feeds)
        return int(self.session.argmax(hidden)[0, 0]), cache


def translate(model, source, end):
    """The ids of a greedy translation."""
    encoded, cache, token, ids = model.encode(np.array([source])), [np.zeros((1, 1, 256), np.float32)] * 2, 0, []
    while len(ids) < 2.5 * len(source) + 5:
        feeds = {"position": np.array([len(ids)]), "is_first": np.array([not ids], np.float32),
                 "encoder_hidden_states": encoded, "past_1": cache[0], "past_2": cache[1]}
        token, cache = model.step(np.array([[token]]), feeds)
        if token == end:
            break
        ids.append(token)
    return ids


def memory():
    """(peak, anonymous) bytes of this process."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
    return kilobytes["VmHWM"] * 1024, kilobytes["RssAnon"] * 1024


def run_alone(kind, folder, sources, end):
    """Translates in a process that has nothing else in memory."""
    command = [sys.executable, __file__, "--alone", kind, str(folder)]
    done = subprocess.run(command, input=json.dumps([sources, end]), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def alone(kind, folder):
    before = memory()  # of Python and NumPy
    sources, end = json.load(sys.stdin)
    model = {"whole": WholeModel, "split": SplitModel}[kind](pathlib.Path(folder))
    ids = [translate(model, source, end) for source in sources]
    json.dump([ids, [after - had for after, had in zip(memory(), before)]], sys.stdout)


def compare(direction, sentences, folder):
    """Prints translations and memory. Returns whether all tokens are equal."""
    import export
    import onnx
    import tied
    from marian import EOS
    from package import Package

    package = Package(direction)
    for name in ("encoder", "decoder"):
        onnx.save(getattr(export, name)(package.model), folder / f"{name}.onnx")
    tied.split([folder / "encoder.onnx", folder / "decoder.onnx"], folder / "split", check=True)
    sources = [package.encode(sentence) for sentence in sentences]
    whole, whole_memory = run_alone("whole", folder, sources, EOS)
    split, split_memory = run_alone("split", folder / "split", sources, EOS)
    for sentence, a, b in zip(sentences, whole, split):
        print(f"{sentence}\n  ONNX Runtime:           {package.decode(a)}")
        print(f"  ONNX Runtime and tied:  {package.decode(b)}\n  tokens {'equal' if a == b else 'DIFFERENT'}")
    print("memory above Python's:        peak    anonymous")
    for name, figures in (("ONNX Runtime", whole_memory), ("ONNX Runtime and tied", split_memory)):
        print(f"  {name:22} {figures[0] / 1e6:7.0f} MB {figures[1] / 1e6:7.0f} MB")
    return whole == split and all(whole)


def main():
    if sys.argv[1:2] == ["--alone"]:
        return alone(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--direction", choices=("en-pt", "pt-en"), default="en-pt")
    parser.add_argument("sentences", nargs="+", metavar="SENTENCE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raise SystemExit(0 if compare(arguments.direction, arguments.sentences, pathlib.Path(folder)) else 1)


if __name__ == "__main__":
    main()
