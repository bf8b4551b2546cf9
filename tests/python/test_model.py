"""Opening files, and what is in them."""

import os

import models
import numpy as np
import pytest
import tied


@pytest.fixture(params=["path", "text", "descriptor", "part of a file", "bytes", "bytearray", "copy", "verified"])
def opened(request, path, tmp_path):
    if request.param == "path":
        yield tied.Model(path)
    elif request.param == "text":
        yield tied.Model(str(path))
    elif request.param == "bytes":
        yield tied.Model(path.read_bytes())
    elif request.param == "bytearray":
        yield tied.Model(bytearray(path.read_bytes()))
    elif request.param in ("copy", "verified"):
        yield tied.Model(path, copy=request.param == "copy", verify=request.param == "verified")
    else:
        content = path.read_bytes()
        before = b"" if request.param == "descriptor" else b"\0" * 4096
        (tmp_path / "file").write_bytes(before + content + before)
        descriptor = os.open(tmp_path / "file", os.O_RDONLY)
        model = tied.Model(descriptor, offset=len(before), length=len(content))
        os.close(descriptor)
        yield model


def test_ways_to_open(opened):
    session = tied.Session(opened, threads=1)
    opened.close()  # the session keeps the file
    np.testing.assert_array_equal(session.embed([9]), models.table()[[9]] * 8)


def test_info(model, path):
    info = model.info
    assert info.file_bytes == path.stat().st_size
    assert info.source == "model.safetensors"
    (table,) = info.tables
    assert (table.name, table.dtype, table.rows, table.cols) == ("embed", "float32", models.ROWS, models.COLS)
    assert table.vocabulary == models.ROWS and table.has_screen
    values = table.planes["values"]
    content = path.read_bytes()[values.offset:values.offset + values.length]
    np.testing.assert_array_equal(np.frombuffer(content, np.float32).reshape(models.table().shape), models.table())
    assert {op.kind for entry in info.entry_points for op in entry.ops} == {"Embedding", "Head"}
    assert (model.embedding.scale, model.embedding.cols) == (8, models.COLS)
    assert model.head.has_bias and model.head.vocabulary == models.ROWS


@pytest.mark.parametrize("everything", [False, True])
def test_prefetch(model, everything):
    steps = []
    model.prefetch(lambda done, total: steps.append((done, total)), everything=everything)
    total = steps[0][1]
    assert steps[0][0] == 0 and steps[-1] == (total, total)
    assert (total >= model.info.tables[0].planes["values"].length) == everything
    model.prefetch()


def test_prefetch_ends_with_the_exception_of_its_progress(model):
    with pytest.raises(ZeroDivisionError):
        model.prefetch(lambda done, total: 1 // 0)


def test_repr(path):
    model = tied.Model(path)
    assert repr(model) == f"<tied.Model {str(path)!r}: float32 [300, 64] with a screen>"
    model.close()
    assert repr(model) == f"<tied.Model {str(path)!r}, closed>"


def test_pages(model):
    model.verify()
    assert model.resident_bytes() > 0
    model.trim()


@pytest.mark.parametrize("call", [
    lambda model: model.info, lambda model: model.head, lambda model: model.verify(), tied.Session])
def test_closed_model(path, call):
    with tied.Model(path) as model:
        pass
    assert model.closed
    with pytest.raises(ValueError, match="closed"):
        call(model)


def test_closed_session(model):
    with tied.Session(model) as session:
        pass
    assert session.closed and repr(session).endswith("closed>")
    for call in (lambda: session.embed([1]), session.cancel, lambda: session.topk(models.hidden(1), 1)):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_damage_is_found(path, tmp_path):
    content = bytearray(path.read_bytes())
    content[tied.Model(path).info.tables[0].planes["values"].offset + 8] ^= 1
    model = tied.Model(content)
    with pytest.raises(tied.CorruptError, match="embed") as raised:
        model.verify()
    assert raised.value.status is tied.Status.CORRUPT
    (tmp_path / "bad.tied").write_bytes(content)
    with pytest.raises(tied.CorruptError):
        tied.Model(tmp_path / "bad.tied", verify=True)


@pytest.mark.parametrize("source, options, error", [
    ("/no/such/file", {}, FileNotFoundError),
    ("/no/such/file", {}, tied.FileMissingError),
    ("/", {}, tied.Error),
    (__file__, {}, tied.CorruptError),
    (b"", {}, tied.CorruptError),
    (b"TIED" * 100, {}, ValueError),
    (-1, {}, tied.Error),
    ("a\0b", {}, ValueError),
    (None, {}, TypeError),
    (True, {}, TypeError),
    (1.5, {}, TypeError),
    (__file__, {"offset": 4}, ValueError),
])
def test_bad_sources(source, options, error):
    with pytest.raises(error):
        tied.Model(source, **options)


def test_path_that_is_not_utf8(path, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.tied")
    with pytest.raises(FileNotFoundError, match="\udcff"):
        tied.Model(name)
    os.symlink(path, name)
    assert tied.Model(name).info.tables[0].rows == models.ROWS


def test_kernels():
    kernels = tied.kernels()
    assert kernels[0].isa == "scalar" and sum(kernel.selected for kernel in kernels) == 1
