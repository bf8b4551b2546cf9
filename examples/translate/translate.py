"""Translates sentences with a trained model: encoder and decoder in NumPy, embedding and head in tied. Compares the
tokens with those of a head in NumPy.

usage: translate.py [--direction en-pt|pt-en] [--beams 4] SENTENCE …
"""

import argparse
import pathlib
import tempfile
import time

import export
import tied
from package import FOLDERS, Package
from search import NumpyPair, TiedPair, beam_search, greedy


def searches(beams):
    return [
        ("greedy", lambda package, pair, source: greedy(package.model, pair, source)),
        (f"{beams} beams", lambda package, pair, source: beam_search(package.model, pair, source, beams)),
        ("greedy, shortlist",
         lambda package, pair, source: greedy(package.model, pair, source, package.shortlist.rows(source))),
        (f"{beams} beams, shortlist", lambda package, pair, source: beam_search(
            package.model, pair, source, beams, package.shortlist.rows(source))),
    ]


def translate(package, session, sentence, beams):
    """Prints one line a search. Returns whether all tokens are those of the head in NumPy."""
    source, plain, equal = package.encode(sentence), NumpyPair(package.model), True
    print(f"\n{sentence}")
    for name, search in searches(beams):
        pair = TiedPair(session)
        start = time.perf_counter()
        ids = search(package, pair, source)
        seconds = time.perf_counter() - start
        same = ids == search(package, plain, source)
        equal = equal and same
        print(f"  {name + ':':22}{package.decode(ids)}")
        print(f"{'':24}{len(ids) / seconds:.0f} tokens/s, {pair.bytes_read / pair.tokens / 1e6:.3f} MB read a token; "
              f"tokens {'equal to' if same else 'DIFFERENT FROM'} those of the head in NumPy")
    return equal


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--direction", choices=FOLDERS, default="en-pt")
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("sentences", nargs="+", metavar="SENTENCE")
    arguments = parser.parse_args()
    package = Package(arguments.direction)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.tied"
        report = tied.convert(export.pair(package.model), path, check=True)
        (table,) = report.tables
        print(f"table: {table.dtype} [{table.rows}, {table.cols}], {report.bytes} bytes, converted in "
              f"{report.seconds:.2f} s and checked")
        with tied.Model(path) as model, tied.Session(model, threads=1) as session:
            equal = [translate(package, session, sentence, arguments.beams) for sentence in arguments.sentences]
    raise SystemExit(0 if all(equal) else 1)


if __name__ == "__main__":
    main()
