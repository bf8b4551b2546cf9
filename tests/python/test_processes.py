"""Threads, signals, fork, and the interpreter's exit."""

import os
import signal
import textwrap
import threading

import models
import numpy as np
import pytest
import tied

SLOW = np.ones((20000, 256), np.float32) / 8  # all logits are equal, so that no screen could help


@pytest.fixture(scope="module")
def slow_path(tmp_path_factory):
    """A model on which the argmax of many hidden states takes seconds."""
    folder = tmp_path_factory.mktemp("slow")
    source = models.write(folder / "slow.safetensors", SLOW, biased=False)
    tied.convert(source, folder / "slow.tied", table="embed", dtype="float32")
    return folder / "slow.tied"


@pytest.fixture
def slow(slow_path):
    with tied.Model(slow_path) as model, tied.Session(model, threads=2) as session:
        yield session


def many(tokens=20000):
    return np.ones((tokens, 256), np.float32)


class Background(threading.Thread):
    """Calls in a thread, one after another, until one ends with an error."""

    def __init__(self, session):
        super().__init__()
        self.session, self.error, self.begun = session, None, threading.Event()
        self.start()
        self.begun.wait()

    def run(self):
        while self.error is None:
            self.begun.set()
            try:
                self.session.argmax(many(2000))
            except tied.BusyError:
                pass
            except Exception as error:
                self.error = error


def end(background, session):
    while background.is_alive():
        session.cancel()
    background.join()
    return background.error


def test_the_gil_is_released_and_cancel_ends_a_call(slow):
    error = end(Background(slow), slow)
    assert isinstance(error, tied.CancelledError) and error.status is tied.Status.CANCELLED
    np.testing.assert_array_equal(slow.argmax(many(2)), [0, 0])


def test_a_second_call_is_refused(slow):
    background = Background(slow)
    with pytest.raises(tied.BusyError) as raised:
        while True:
            slow.argmax(many(1))
    assert raised.value.status is tied.Status.BUSY
    end(background, slow)


def test_close_during_a_call(slow_path):
    model = tied.Model(slow_path)
    session = tied.Session(model, threads=1)
    background = Background(session)
    session.close()
    model.close()
    background.join()
    assert isinstance(background.error, ValueError) and "closed" in str(background.error)


def test_sessions_in_many_threads(model):
    hidden = models.hidden(64)
    want = tied.Session(model, threads=1).argmax(hidden)
    results = []

    def work():
        session = tied.Session(model, threads=2)
        results.extend(np.array_equal(session.argmax(hidden), want) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 200


@pytest.fixture
def interrupts():
    """SIGINT raises KeyboardInterrupt, also where a shell has started the tests in the background and ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_call(slow, interrupts):
    ids = np.full(20000, -1)
    timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        slow.argmax(many(), ids)
        timer.join()  # if the call was so fast, the signal comes here
    assert -1 in ids  # the call, which takes seconds, has not come to its end
    np.testing.assert_array_equal(slow.argmax(many(2)), [0, 0])


def test_ctrl_c_ends_a_conversion(tmp_path, interrupts):
    source = models.write(tmp_path / "model.safetensors")
    with pytest.raises(KeyboardInterrupt):
        tied.convert(source, tmp_path / "out.tied", table="embed",
                     progress=lambda *_: signal.raise_signal(signal.SIGINT))
    assert not (tmp_path / "out.tied").exists()


def test_fork(model):
    session = tied.Session(model, threads=2)
    session.embed([1])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            try:
                session.embed([1])
            except RuntimeError as error:
                code = 2 if "fork" in str(error) else 3
            new = tied.Session(model, threads=2)
            np.testing.assert_array_equal(new.embed([1]), models.table()[[1]] * 8)
            session.close()
            code = 0 if code == 2 else code
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    session.embed([1])


@pytest.mark.parametrize("daemon", [True, False])
def test_exit_during_a_call(slow_path, daemon, run_python):
    done = run_python(textwrap.dedent("""
        import sys, threading, numpy as np, tied
        session = tied.Session(tied.Model(sys.argv[1]), threads=2)
        begun = threading.Event()

        def work():
            begun.set()
            for _ in range(1000 if sys.argv[2] == "True" else 1):
                try:
                    session.argmax(np.ones((4000, 256), np.float32))
                except tied.CancelledError:
                    pass

        threading.Thread(target=work, daemon=sys.argv[2] == "True").start()
        begun.wait()
        print("end")
        """), slow_path, daemon)
    assert done.stdout == "end\n" and done.returncode == 0
    assert "terminate" not in done.stderr and "Fatal" not in done.stderr


def test_objects_that_live_until_the_exit(path, run_python):
    done = run_python(textwrap.dedent("""
        import sys, tied
        model = tied.Model(open(sys.argv[1], "rb").read())
        session = tied.Session(model)
        cycle = [model, session]
        cycle.append(cycle)
        """), path)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
