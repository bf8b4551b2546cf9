"""Converts the files of real exporters, runs them before and after, and reports each cell: right, or refused and why.

usage: matrix.py MODELS [--only PATTERN] [--jobs N] [--results FILE] [--update]

MODELS is a folder that keeps what was exported. A wrong value or a crash is an error; a refusal is not.
"""

import argparse
import concurrent.futures
import contextlib
import json
import logging
import multiprocessing
import os
import pathlib
import re
import shutil
import sys
import tempfile
import warnings

import numpy as np
import tied

import cells
import generate
import outcome
import report


def split_attempt(folder, cell, scratch):
    """Compares tokens and logits of a few steps of a decoder, perhaps with its encoder."""
    sessions = {role: generate.session(folder / name) for role, name in cell.files.items()}
    tokens, expected = generate.Generator(sessions).generate()
    if (folder / "config.json").exists():  # as optimum left it
        given = [folder]
    else:
        has_ids = [role for role, model in sessions.items()
                   if {"input_ids", "decoder_input_ids", "tokens"} & {value.name for value in model.get_inputs()}]
        given = [folder / cell.files[role] for role in sorted(has_ids, key=["decoder", "past", "encoder"].index)]

    def attempt(options):
        out = scratch / "split"
        shutil.rmtree(out, ignore_errors=True)
        files = [folder / cell.files["decoder"]] if "alone" in options else given
        options = [option for option in options if option != "alone"]
        outcome.call(tied.split, files, out, options)
        after = {role: generate.session((out if (out / name).exists() else folder) / name)
                 for role, name in cell.files.items()}
        with tied.Model(out / "model.tied") as model, tied.Session(model) as table:
            _, actual = generate.Generator(after, table).generate(tokens)
        outcome.compare(expected, actual, cell.tolerance, cell.rounded)

    return attempt


def pair_attempt(folder, cell, scratch):
    """Compares embeddings, and logits of random hidden states, if the model is only a table."""
    model = generate.session(folder / cell.files["pair"])
    shapes = {value.name: value.shape for value in model.get_inputs()}
    names = list(shapes)
    ids = np.array([[5, 17, 80]])
    hidden = np.random.default_rng(2).normal(0, 1, (1, 3, shapes[names[1]][-1]))
    given = {names[0]: ids, names[1]: hidden}
    outputs = [value.name for value in model.get_outputs()]

    def run(selector):
        given_all = {**given, **{name: np.array(selector) for name in names[2:]}}
        return dict(zip(outputs, generate.run(model, given_all).values()))

    embeddings, logits = run(False)[outputs[0]], run(True)[outputs[1]]

    def attempt(options):
        target = scratch / "model.tied"
        outcome.call(tied.convert, folder / cell.files["pair"], target, options)
        with tied.Model(target) as opened, tied.Session(opened) as table:
            outcome.compare(embeddings[0], table.embed(ids[0]), cell.tolerance, cell.rounded)
            outcome.compare(logits[0], table.logits(hidden[0].astype(np.float32)), cell.tolerance, cell.rounded)

    return attempt


def run_cell(models, cell):
    try:
        folder = cells.made(models, cell)
    except cells.NotMade as error:
        return outcome.Outcome("not made", str(error).splitlines()[0][:200])
    return run_in(cell, folder)


def run_in(cell, folder):
    with tempfile.TemporaryDirectory() as scratch:
        try:
            make = pair_attempt if "pair" in cell.files else split_attempt
            attempt = make(folder, cell, pathlib.Path(scratch))
        except Exception as error:
            if not type(error).__module__.startswith("onnxruntime."):
                raise
            return outcome.Outcome("not made", f"ONNX Runtime does not run it: {error}".replace("\n", " ")[:200])
        return outcome.with_ways_forward(attempt)


@contextlib.contextmanager
def quiet():
    """Discards the output of exporters, including C++ code."""
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    try:
        yield
    finally:
        sys.stdout.flush()
        for descriptor, copy in zip((1, 2), kept):
            os.dup2(copy, descriptor)
        for descriptor in (nowhere, *kept):
            os.close(descriptor)


def run_group(work):
    """Runs all cells of one export, whose result other cells wait for."""
    models, group = work
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    models.mkdir(parents=True, exist_ok=True)
    os.chdir(models)  # some quantisers leave files where they run
    results = []
    for cell in group:
        with quiet():
            result = run_cell(models, cell)
        print(f"{cell.name}: {result.word}{': ' if result.why else ''}{result.why}", flush=True)
        results.append((cell, result))
    return results


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--only", default="", help="a regular expression of 'family / exporter / change'")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--results", type=pathlib.Path)
    parser.add_argument("--update", action="store_true", help="write docs/converting.md")
    arguments = parser.parse_args()
    groups = {}
    for cell in cells.cells():
        if re.search(arguments.only, cell.name):
            groups.setdefault((cell.exporter.removesuffix(" merged"), cell.family), []).append(cell)
    work = [(arguments.models, group) for group in groups.values()]
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs, spawn) as pool:  # raises if a process crashes
        results = [pair for group in pool.map(run_group, work) for pair in group]
    if arguments.results:
        rows = [{"exporter": cell.exporter, "family": cell.family, "change": cell.change, "word": result.word,
                 "why": result.why} for cell, result in results]
        arguments.results.write_text(json.dumps(rows, indent=1))
    if arguments.update:
        report.write(pathlib.Path(__file__).parents[2] / "docs/converting.md", results)
    words = [result.word for _, result in results]
    print(", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words)))
    sys.exit(any(result.failed for _, result in results))


if __name__ == "__main__":
    main()
