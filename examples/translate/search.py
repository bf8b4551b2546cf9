"""Greedy and beam search with a decoder, and with an embedding and head that offer embed() and topk()."""

import numpy as np
from marian import EOS


class NumpyPair:
    """The embedding and the head as one writes them in NumPy: the table as floats, and all logits."""

    def __init__(self, model):
        self.table = model.table.astype(np.float32) * model.table_scale
        self.bias = model.bias

    def embed(self, ids):
        return self.table[ids] * np.float32(np.sqrt(self.table.shape[1]))

    def topk(self, hidden, k, rows=None):
        """(ids, logits, log_z), as TiedPair."""
        logits = hidden @ self.table.T + self.bias
        if rows is not None:
            logits = logits[:, rows]
        largest = logits.max(1, keepdims=True)
        log_z = largest[:, 0] + np.log(np.exp(logits - largest).sum(1, dtype=np.float64))
        best = np.empty((len(hidden), k), np.int64)
        for token in range(len(hidden)):
            # Of equal logits the lower id comes first; np.argpartition() would take any.
            near = np.flatnonzero(logits[token] >= np.partition(logits[token], -k)[-k])
            best[token] = near[np.argsort(-logits[token, near], kind="stable")][:k]
        return best if rows is None else rows[best], np.take_along_axis(logits, best, 1), log_z


class TiedPair:
    """The same, computed by a tied.Session from the table in its file. Counts the bytes that the head reads."""

    def __init__(self, session):
        self.session, self.bytes_read, self.tokens = session, 0, 0

    def embed(self, ids):
        return self.session.embed(ids)

    def topk(self, hidden, k, rows=None):
        best = self.session.topk(hidden, k, rows=rows, log_z_tolerance=0 if k > 1 else None)
        self.bytes_read += best.bytes_read
        self.tokens += len(hidden)
        return best.ids, best.logits, best.log_z


def most_tokens(source):
    return int(2.5 * len(source)) + 5  # as the package's configuration limits it


def greedy(model, pair, source, rows=None):
    """The ids of the translation."""
    encoded = model.encode(pair.embed(source))
    cells, embeddings, ids = model.first_cells(), np.zeros((1, model.width), np.float32), []
    while len(ids) < most_tokens(source):
        hidden, cells = model.decode(embeddings, len(ids), cells, encoded)
        best = int(pair.topk(hidden, 1, rows)[0][0, 0])
        if best == EOS:
            break
        ids.append(best)
        embeddings = pair.embed([best])
    return ids


def beam_search(model, pair, source, beams, rows=None):
    """The ids of the translation with the largest mean log-probability that `beams` hypotheses find."""
    encoded = model.encode(pair.embed(source))
    cells, embeddings = model.first_cells(), np.zeros((1, model.width), np.float32)
    scores, ids, done = np.zeros(1), [[]], []
    for position in range(most_tokens(source)):
        hidden, cells = model.decode(embeddings, position, cells, encoded)
        best, logits, log_z = pair.topk(hidden, beams, rows)
        total = (scores[:, None] + logits - log_z[:, None]).ravel()
        kept = []
        for flat in np.argsort(-total, kind="stable")[:beams]:
            beam, token = flat // beams, int(best.ravel()[flat])
            if token == EOS:
                done.append((total[flat] / (position + 1), ids[beam]))
            else:
                kept.append((beam, token, total[flat]))
        if len(done) >= beams or not kept:
            break
        ids = [[*ids[beam], token] for beam, token, _ in kept]
        scores, cells = np.array([score for *_, score in kept]), cells[:, [beam for beam, *_ in kept]]
        embeddings = pair.embed([token for _, token, _ in kept])
    done = done or [(score / len(found), found) for score, found in zip(scores, ids)]
    return max(done, key=lambda found: found[0])[1]
