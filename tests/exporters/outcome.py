"""Converts one model, and returns the outcome: right, refused and why, wrong, or a crash."""

import dataclasses
import re

import numpy as np
import tied

WAY = re.compile(r"--(?:allow-untied|tie (?:embedding|head)|dtype (?:float32|b?float16|int8|int4)|(?:ids|logits) [\w.:/]+)")
# Options that a message may name without a value.
VALUES = {"--tie": ["--tie embedding", "--tie head"], "--dtype": ["--dtype float32"]}


@dataclasses.dataclass
class Outcome:
    word: str  # right, refused, wrong, crash
    why: str = ""  # for right: the options that were needed

    @property
    def failed(self):
        return self.word in ("wrong", "crash")


class Wrong(Exception):
    pass


class Differs(Wrong):
    """Outputs differ from the model's by more than the tolerance."""


def keywords(options):
    """The options of tied-convert as arguments of tied.convert() and tied.split()."""
    words = iter(options)
    return {word[2:].replace("-", "_"): True if word == "--allow-untied" else next(words) for word in words}


def call(function, model, output, options):
    """function: tied.convert or tied.split. Raises tied.ConvertError for a refusal."""
    try:
        function(model, output, check=True, **keywords(options))
    except tied.CheckFailedError as failed:
        raise Wrong(str(failed)) from None


def compare(expected, actual, tolerance, rounded=False):
    """Logits within the tolerance, a part of the largest; the best token of each row the same where it is clear.
    rounded: quantize_static rounds logits, too, and cuts off those that its calibration did not see."""
    largest = np.abs(expected).max()
    if rounded:
        actual = np.clip(actual, expected.min(), expected.max())
        tolerance += np.diff(np.unique(expected)).min() / 2 / largest
    off = np.abs(expected - actual).max() / largest
    if not off <= tolerance:
        raise Differs(f"logits are off by {off:.2g} of the largest")
    order = np.sort(expected, axis=-1)
    clear = order[:, -1] - order[:, -2] > 2 * tolerance * largest
    if tolerance < 1e-3:
        clear[:] = True
    if not np.array_equal(expected.argmax(-1)[clear], actual.argmax(-1)[clear]):
        raise Differs("another token")


def first_line(message):
    """Returns the first line of a message, without the paths of this machine."""
    return re.sub(r"\S*/([\w.]+\.onnx)", r"\1", message.splitlines()[0])


def ways_forward(message):
    """Returns the options that a message names, each once; "alone" to split the decoder without the encoder."""
    ways = WAY.findall(message)
    for option, values in VALUES.items():
        if option in message and not any(way.startswith(option) for way in ways):
            ways += values
    if re.search(r"split \S+ alone", message):
        ways.insert(0, "alone")
    for option in ("ids", "logits"):
        there = re.search(r"puts are '([^']*)'", message)
        if f"--{option} NAME" in message and there:
            ways = [way.replace("NAME", there[1]) for way in ways]
    return list(dict.fromkeys(ways))


def search(attempt, options, tried):
    """Returns the options with which the attempt succeeds: none, one that the message names, or two in turn.
    tried: [(options, message)]"""
    try:
        attempt(options)
        return options
    except tied.ConvertError as refusal:
        message = str(refusal)
        tried.append((" ".join(options), message))
    except Differs as differs:
        # --tie gives one use the other's rounding, whose error is printed and may exceed the tolerance.
        if "--tie" not in options:
            raise
        tried.append((" ".join(options), str(differs)))
        return None
    for way in ways_forward(message) if len(options) < 4 else []:
        if way.split()[0] not in options:
            found = search(attempt, [*options, *way.split()], tried)
            if found is not None:
                return found
    return None


def with_ways_forward(attempt):
    """Calls attempt(options), which raises tied.ConvertError. Tries the options that the message names in turn."""
    tried = []
    try:
        found = search(attempt, [], tried)
        if found is not None:
            return Outcome("right", " ".join(found))
        first = {}  # the options with which each message came first
        for way, message in tried:
            first.setdefault(first_line(message), way)
        return Outcome("refused", "; ".join((f"with {way}: " if way else "") + line for line, way in first.items()))
    except Wrong as wrong:
        return Outcome("wrong", str(wrong))
    except Exception as error:  # also of ONNX Runtime, which refuses what split wrote
        return Outcome("crash", f"{type(error).__name__}: {error}".replace("\n", " ")[:400])
