"""Wrong arguments: what is raised, and that the message says what to pass."""

import models
import numpy as np
import pytest
import tied

HIDDEN = models.hidden(2, 3)


class OnGpu:
    """An array of a GPU, as DLPack describes it."""

    def __dlpack_device__(self):
        return 2, 0


class Dlpack:
    """An array on the CPU that NumPy does not know."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class AsArray:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.mark.parametrize("wrap", [Dlpack, AsArray, lambda array: array.astype(np.float16)])
def test_other_arrays_are_taken(session, wrap):
    hidden = models.hidden(2)  # its values are float16's
    np.testing.assert_array_equal(np.asarray(session.argmax(wrap(hidden))), session.argmax(hidden))


UNALIGNED = np.frombuffer(b"\0" * (4 * models.COLS + 1), np.uint8)[1:].view(np.float32)


@pytest.mark.parametrize("hidden, error, advice", [
    (HIDDEN.astype(np.float64), TypeError, r"pass hidden.astype\(np.float32\)"),
    (HIDDEN.astype(">f4"), TypeError, r"pass hidden.astype\(np.float32\)"),
    (HIDDEN.tolist(), TypeError, "must be an array"),
    (None, TypeError, "must be an array"),
    (HIDDEN.transpose(1, 0, 2), ValueError, r"pass np.ascontiguousarray\(hidden\)"),
    (HIDDEN[..., ::-1], ValueError, r"pass np.ascontiguousarray\(hidden\)"),
    (UNALIGNED, ValueError, r"pass hidden.copy\(\)"),
    (HIDDEN[..., :-1].copy(), ValueError, r"must be \[..., 64\]"),
    (np.float32(1), ValueError, r"must be \[..., 64\]"),
    (OnGpu(), ValueError, r"pass hidden.cpu\(\)"),
])
def test_hidden_states(session, hidden, error, advice):
    for call in (session.argmax, session.logits, lambda given: session.topk(given, 1)):
        with pytest.raises(error, match=advice):
            call(hidden)


@pytest.mark.parametrize("ids, error, advice", [
    (np.array([1, 2], np.int32), TypeError, r"pass ids.astype\(np.int64\)"),
    (np.array([1.0]), TypeError, r"pass ids.astype\(np.int64\)"),
    ([1.5], TypeError, r"pass ids.astype\(np.int64\)"),
    ([True], TypeError, r"pass ids.astype\(np.int64\)"),
    ("1", TypeError, "must be an array"),
    (np.arange(8)[::2], ValueError, r"pass np.ascontiguousarray\(ids\)"),
    ([models.ROWS], IndexError, str(models.ROWS)),
    ([-1], tied.OutOfRangeError, "-1"),
])
def test_ids(session, ids, error, advice):
    with pytest.raises(error, match=advice):
        session.embed(ids)


def read_only(*shape):
    array = np.empty(shape, np.int64)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("out, error", [
    ([0, 0], TypeError),
    (np.empty((2, 3), np.int32), TypeError),
    (np.empty((3, 2), np.int64), ValueError),
    (np.empty((3, 2), np.int64).T, ValueError),
    (read_only(2, 3), ValueError),
])
def test_out(session, out, error):
    with pytest.raises(error, match="out"):
        session.argmax(HIDDEN, out)


def test_out_that_overlaps_the_input(session):
    both = np.zeros(models.ROWS * 2, np.float32)
    with pytest.raises(ValueError, match="overlaps"):
        session.logits(both[:models.COLS], both[10:10 + models.ROWS])


@pytest.mark.parametrize("k, options, error", [
    (0, {}, ValueError),
    (1025, {}, ValueError),
    (models.ROWS + 1, {}, tied.InvalidArgumentError),
    (2, {"rows": [4]}, tied.InvalidArgumentError),
    (1, {"rows": [models.ROWS]}, tied.OutOfRangeError),
    (1, {"rows": [[1]]}, ValueError),
    (1, {"allowed": np.ones(3, bool)}, TypeError),
    (1, {"allowed": np.ones(models.ROWS, np.int64)}, TypeError),
    (1, {"log_z_tolerance": -1}, tied.InvalidArgumentError),
])
def test_topk(session, k, options, error):
    with pytest.raises(error):
        session.topk(HIDDEN, k, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_hidden_states_that_are_not_finite(session, value):
    hidden = models.hidden(1)
    hidden[0, 5] = value
    with pytest.raises(tied.NotFiniteError) as raised:
        session.argmax(hidden)
    assert isinstance(raised.value, (tied.Error, ValueError)) and raised.value.status is tied.Status.NOT_FINITE


@pytest.mark.parametrize("call, error", [
    (lambda session: session.run({"no such": HIDDEN}), tied.Error),
    (lambda session: session.run({}, ["no such"]), LookupError),
    (lambda session: session.run({}, entry_point="no such"), tied.NameMissingError),
    (lambda session: session.run({"x": HIDDEN.astype(np.float64)}), TypeError),
    (lambda session: session.run({"x": HIDDEN.reshape([1] * 7 + [6, 64])}), tied.InvalidArgumentError),
    (lambda session: session.logits(HIDDEN, rows=[1], allowed=np.ones(models.ROWS, bool)), ValueError),
])
def test_run(session, call, error):
    with pytest.raises(error):
        call(session)


@pytest.mark.parametrize("options", [{"threads": -1}, {"threads": 257}, {"xnnpack_min_tokens": -1}])
def test_options_of_a_session(model, options):
    with pytest.raises(tied.InvalidArgumentError):
        tied.Session(model, **options)
