"""Changes models at random, and compares tied-convert and tied with ONNX Runtime on what comes out.

usage: fuzz_onnx.py TIED_CONVERT TIED FOLDER [SECONDS [SEED]]

A changed model is refused with a message, or it computes what ONNX Runtime computes. tied-convert may take 10 seconds
and an address space of 1 GB, and leaves nothing when it refuses. Models for which that is not so are kept in FOLDER. Commands run in processes of their
own, because a crash is something to find.
"""

import collections
import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx

import app_models
import models
import mutants
import quantised_models as quantised
import reference
import results
import tiny_translator as tiny

SECONDS, ADDRESS_SPACE = 10, 1 << 30

PAIRS = {f"If, {head.__name__}, {embed.__name__}": lambda head=head, embed=embed: models.make(head, embed)[0]
         for head, embed in zip(models.HEADS, models.EMBEDS * 2)}
PAIRS |= {select.__name__: lambda select=select: models.make_selection(select)[0] for select in models.SELECTIONS}
PAIRS |= {make.__name__: make for make in (
    quantised.dynamic_uint8, quantised.dynamic_int8_tied, quantised.qdq, quantised.blocks_4_of_32,
    quantised.blocks_8_with_zero_points, quantised.qdq_int4_in_blocks, quantised.qdq_int8_in_blocks, quantised.float16,
    quantised.bfloat16)}
PAIRS |= {layout.__name__: lambda layout=layout, behind=behind: app_models.export(layout, behind)
          for layout, behind in zip(app_models.LAYOUTS, (False, True, False, True))}
DECODERS = {
    "plain decoder": lambda: tiny.plain_decoder(tiny.head_transpose),
    "plain decoder, bias": lambda: tiny.plain_decoder(tiny.head_bias),
    "plain decoder, T5": lambda: tiny.plain_decoder(tiny.head_t5),
    "merged decoder": lambda: tiny.merged_decoder(tiny.head_copy),
}


class Refused(Exception):
    pass


class Failed(Exception):
    pass


class Disagrees(Failed):
    """--check finds a difference."""


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def convert(command, target, finite):
    """Converts to a file or a folder, where no file may appear if the model is refused. finite: whether all constants
    of the model are; --check does not compare numbers that are not."""
    try:
        run = subprocess.run([*command, "-o", target, "--check", "--quiet"], capture_output=True, text=True,
                             errors="replace", timeout=SECONDS, preexec_fn=limit)
    except subprocess.TimeoutExpired:
        raise Failed(f"takes more than {SECONDS} seconds") from None
    said = (run.stdout + run.stderr).strip()
    if run.returncode not in (0, 1):
        raise Failed(f"exit status {run.returncode}: {said}")
    if "not enough memory" in said or (run.returncode and not run.stderr.strip()):
        raise Failed(f"exit status {run.returncode}: {said}")
    left = sorted(str(path) for path in target.parent.rglob("*") if path.is_file() and path.name != "model.onnx"
                  or target in path.parents)
    if run.returncode and left:
        raise Failed(f"refuses, and leaves {left}: {said}")
    if "TOO MUCH" in said and finite:
        raise Disagrees(said)
    if run.returncode:
        raise Refused(said)


def run_tied(tied, path, feeds, outputs, folder):
    command = [tied, "run", path]
    results = [folder / f"output_{i}.npy" for i in range(len(outputs))]  # names may hold a slash
    for i, (name, value) in enumerate(feeds.items()):
        given = folder / f"input_{i}.npy"
        np.save(given, value)
        command += ["--input", f"{name}={'true' if value[0] else 'false'}" if value.dtype == bool else f"{name}={given}"]
    for name, result in zip(outputs, results):
        command += ["--output", f"{name}={result}"]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if run.returncode:
        raise Failed(f"tied run: exit status {run.returncode}: {run.stderr}")
    return {name: np.load(result) for name, result in zip(outputs, results)}


def feeds_for(inputs, random, rows):
    """Feeds with each value of the selectors; dimensions of one name have one size."""
    sizes, feeds = collections.defaultdict(lambda: int(random.integers(1, 4)), seq=app_models.LENGTH), {}
    for name, type_, shape in inputs:
        dims = [size if isinstance(size, int) else sizes[size] for size in shape]
        if type_ == np.bool_:
            continue
        ids = np.dtype(type_).kind == "i"
        values = random.integers(0, rows, dims) if ids else random.normal(0, 1, dims).clip(-4, 4)
        feeds[name] = np.asarray(values).astype(type_)
    for selector in (False, True):
        yield feeds | {name: np.full([1], selector) for name, type_, _ in inputs if type_ == np.bool_}
        if not any(type_ == np.bool_ for _, type_, _ in inputs):
            return


def check_pair(programs, onnx_runtime, model, random, folder):
    source, target, probed = folder / "model.onnx", folder / "model.tied", folder / "probed.onnx"
    onnx.save(model, source)
    convert([programs[0], source], target, results.finite(model))
    probes = results.Probes(model)
    onnx.save(probes.model, probed)
    inputs = onnx_runtime.inputs(probed)
    inspected = subprocess.run([programs[1], "inspect", target, "--json"], capture_output=True, text=True)
    if inspected.returncode:
        raise Failed(f"tied inspect: exit status {inspected.returncode}: {inspected.stderr}")
    described = json.loads(inspected.stdout)
    outputs = [output["name"] for output in described["outputs"]]
    if missing := {output.name for output in model.graph.output} - set(outputs):
        raise Failed(f"without the outputs {sorted(missing)}")
    taken = {value["name"] for value in described["inputs"]}
    for feeds in feeds_for(inputs, random, models.ROWS):
        expected = onnx_runtime.run(probed, feeds)
        actual = run_tied(programs[1], target, {n: a for n, a in feeds.items() if n in taken}, outputs, folder)
        units = onnx_runtime.run(probed, results.unit_feeds(inputs, feeds))
        try:
            results.compare(described, probes, feeds, expected, actual, units)
        except results.Wrong as wrong:
            raise Failed(str(wrong)) from None


def check_decoder(programs, onnx_runtime, model, random, folder):
    source, parts = folder / "model.onnx", folder / "split"
    onnx.save(model, source)
    convert([programs[0], "split", source], parts, results.finite(model))
    inputs = onnx_runtime.inputs(source)
    ids = [name for name, type_, _ in inputs if np.dtype(type_).kind == "i"]
    largest = results.largest_constant(model)
    for feeds in feeds_for(inputs, random, tiny.ROWS):
        expected = onnx_runtime.run(source, feeds)
        if len(ids) != 1:
            raise reference.NotRun("which input has the token ids is not known here")
        embeddings = run_tied(programs[1], parts / "model.tied", {"input_ids": feeds[ids[0]]}, ["embeddings"], folder)
        try:
            inner = onnx_runtime.run(parts / "model.onnx", {**feeds, "inputs_embeds": embeddings["embeddings"]})
        except reference.NotRun as error:
            raise Failed(f"ONNX Runtime does not run what split wrote: {error}") from None
        hidden = inner["hidden"].astype(np.float32)
        actual = run_tied(programs[1], parts / "model.tied", {"hidden": hidden}, ["logits"], folder)
        try:
            results.compare_parts(expected, inner, actual["logits"], hidden, largest)
        except results.Wrong as wrong:
            raise Failed(str(wrong)) from None


def keep(folder, where, number, name, changes, why):
    kept = where / str(number)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    shutil.copy(folder / "model.onnx", kept)
    text = f"{name}: {', '.join(changes)}\n{why}\n"
    (kept / "why").write_text(text)
    print(f"{kept}: {text}", flush=True)


def originals():
    for name, make in PAIRS.items():
        yield name, check_pair, make()
    for name, make in DECODERS.items():
        yield name, check_decoder, make()


def one(check, programs, onnx_runtime, model, random, keep_failed):
    """Returns what became of a model: right, refused, not run by ONNX Runtime, or failed."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        try:
            check(programs, onnx_runtime, model, random, folder)
        except Refused:
            return "refused"
        except reference.NotRun:
            return "not run by ONNX Runtime"
        except Disagrees as disagrees:
            try:
                onnx_runtime.inputs(folder / "model.onnx")
            except reference.NotRun:
                return "not run by ONNX Runtime"
            keep_failed(folder, str(disagrees))
            return "failed"
        except Failed as failed:
            keep_failed(folder, str(failed))
            return "failed"
    return "right"


def main():
    programs, where = sys.argv[1:3], pathlib.Path(sys.argv[3])
    seconds, seed = (int(word) for word in [*sys.argv[4:6], *["60", "0"][len(sys.argv) - 4:]])
    where /= str(seed)
    onnx_runtime, counts = reference.Reference(), collections.Counter()
    forms = list(originals())
    for name, check, model in forms:
        complain = lambda _, why: sys.exit(f"{name}, unchanged: {why}")
        outcome = one(check, programs, onnx_runtime, model, np.random.default_rng(0), complain)
        if outcome != "right":
            sys.exit(f"{name}, unchanged: {outcome}")
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        random = np.random.default_rng([seed, number])
        name, check, model = forms[random.integers(len(forms))]
        model, changes = mutants.mutant(model, random)
        keep_failed = lambda folder, why: keep(folder, where, number, name, changes, why)
        counts[one(check, programs, onnx_runtime, model, random, keep_failed)] += 1
        number += 1
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    print(f"{number} models from seed {seed}: {said}")
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
