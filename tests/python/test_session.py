"""The calls of a session against NumPy."""

import models
import numpy as np
import pytest
import tied

TABLE, BIAS, SCALE = models.table(), models.bias(), np.float32(8)
SHAPES = [(), (1,), (5,), (2, 3), (0,), (2, 0)]


def expected_logits(hidden):
    return hidden @ TABLE.T + BIAS


def best(logits, k):
    return np.argsort(-logits, axis=-1, kind="stable")[..., :k]


@pytest.mark.parametrize("shape", SHAPES)
def test_embed(session, shape):
    ids = np.random.default_rng(0).integers(0, models.ROWS, shape)
    np.testing.assert_array_equal(session.embed(ids), TABLE[ids] * SCALE)


@pytest.mark.parametrize("ids", [[2, 17, 2], range(4), (1,), [], 7])
def test_embed_takes_lists_of_ids(session, ids):
    np.testing.assert_array_equal(session.embed(ids), TABLE[np.array(ids, np.int64)] * SCALE)


@pytest.mark.parametrize("shape", SHAPES)
def test_logits(session, shape):
    hidden = models.hidden(*shape)
    np.testing.assert_array_equal(session.logits(hidden), expected_logits(hidden))


@pytest.mark.parametrize("shape", SHAPES)
def test_argmax(session, shape):
    hidden = models.hidden(*shape)
    ids = session.argmax(hidden)
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids, np.argmax(expected_logits(hidden), axis=-1))


@pytest.mark.parametrize("use_screen", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_topk(session, shape, use_screen):
    hidden = models.hidden(*shape)
    top = session.topk(hidden, 7, use_screen=use_screen)
    logits = expected_logits(hidden)
    np.testing.assert_array_equal(top.ids, best(logits, 7))
    np.testing.assert_array_equal(top.logits, np.take_along_axis(logits, top.ids, -1))
    assert top.log_z is None and top.bound is None
    assert top.survivors.shape == shape
    assert (top.bytes_read > 0) == (hidden.size > 0)


@pytest.mark.parametrize("tolerance", [0, 0.01])
def test_log_z_is_within_its_bound(session, tolerance):
    hidden = models.hidden(4)
    top = session.topk(hidden, 3, log_z_tolerance=tolerance)
    exact = np.log(np.sum(np.exp(expected_logits(hidden).astype(np.float64)), axis=-1))
    assert np.all(np.abs(top.log_z - exact) <= top.bound + 1e-12)
    assert np.all(top.bound <= max(tolerance, 1e-9))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("beams, count", [(1, 1), (3, 6), (4, 1024)])
def test_beam_step(session, beams, count, masked):
    hidden, scores = models.hidden(beams), np.linspace(-3, -1, beams)
    mask = np.arange(models.ROWS) % 2 == 1 if masked else None
    logits = expected_logits(hidden).astype(np.float64)
    if masked:
        logits[:, ~mask] = -np.inf
    count = min(count, int(np.isfinite(logits).sum(axis=-1).min()))
    log_z = np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))
    sums = scores[:, None] + logits - log_z
    step = session.beam_step(hidden, scores, count, allowed=mask)
    np.testing.assert_allclose(step.scores, np.sort(sums, axis=None)[::-1][:count], rtol=0, atol=1e-9)
    np.testing.assert_allclose(sums[step.parents, step.ids], step.scores, rtol=0, atol=1e-9)
    assert len({*zip(step.parents.tolist(), step.ids.tolist())}) == count


@pytest.mark.parametrize("hidden, scores, count, error", [
    ((2,), [0.0], 1, "they must be"), ((2,), [0.0, np.nan], 1, "is nan"), ((2,), [0.0, 0.0], 0, "1 to 1024"),
    ((), 0.0, 1, "they must be")])
def test_beam_step_refuses(session, hidden, scores, count, error):
    with pytest.raises(ValueError, match=error):
        session.beam_step(models.hidden(*hidden), scores, count)


def test_beam_step_without_beams(session):
    assert session.beam_step(models.hidden(0), [], 4).ids.size == 0


@pytest.mark.parametrize("as_bits", [True, False])
def test_allowed_ids(session, as_bits):
    hidden, mask = models.hidden(3), np.arange(models.ROWS) % 3 == 1
    allowed = np.packbits(mask, bitorder="little") if as_bits else mask
    logits = np.where(mask, expected_logits(hidden), -np.inf)
    np.testing.assert_array_equal(session.logits(hidden, allowed=allowed), logits)
    np.testing.assert_array_equal(session.topk(hidden, 5, allowed=allowed).ids, best(logits, 5))


@pytest.mark.parametrize("rows", [[5, 2, 299, 5], np.array([1, 0])])
def test_rows(session, rows):
    hidden = models.hidden(2, 2)
    np.testing.assert_array_equal(session.logits(hidden, rows=rows), expected_logits(hidden)[..., rows])
    among = np.full((2, 2, models.ROWS), -np.inf)
    among[..., rows] = expected_logits(hidden)[..., rows]
    np.testing.assert_array_equal(session.topk(hidden, 2, rows=rows).ids, best(among, 2))


def test_outputs_are_used_in_place(session):
    hidden = models.hidden(2)
    ids, logits = np.empty(2, np.int64), np.empty((2, models.ROWS), np.float32)
    embeddings = np.empty((2, models.COLS), np.float32)
    assert session.argmax(hidden, ids) is ids
    assert session.logits(hidden, out=logits) is logits
    assert session.embed(ids, embeddings) is embeddings
    np.testing.assert_array_equal(embeddings, TABLE[np.argmax(expected_logits(hidden), -1)] * SCALE)


def test_read_only_inputs(session):
    hidden = models.hidden(2)
    hidden.flags.writeable = False
    np.testing.assert_array_equal(session.argmax(hidden), np.argmax(expected_logits(hidden), -1))


def test_run_has_the_results_of_the_typed_calls(session):
    info = session.model.info
    hidden, ids = models.hidden(2), np.array([3, 4])
    for entry in info.entry_points:
        given = dict(entry.selectors)
        for op in entry.ops:
            given[op.input] = ids if op.kind == "Embedding" else hidden
        shapes = {value.name: len(value.shape) for value in info.inputs}
        given = {name: np.asarray(value).reshape([1] * (shapes[name] - np.ndim(value)) + list(np.shape(value)))
                 for name, value in given.items()}
        results = session.run(given)
        for op in entry.ops:
            want = session.embed(ids) if op.kind == "Embedding" else session.logits(hidden)
            np.testing.assert_array_equal(results[op.output].reshape(want.shape), want)
            np.testing.assert_array_equal(session.run(given, [op.output], entry_point=entry.name)[op.output],
                                          results[op.output])


def test_threads(model):
    assert [tied.Session(model, threads=n).threads for n in (1, 3)] == [1, 3]
    assert "3 threads" in repr(tied.Session(model, threads=3))
