"""What a type checker knows of the package. mypy reads this file; nothing runs it."""

import pathlib
from typing import Optional

import numpy as np
import numpy.typing as npt
import tied
from typing_extensions import assert_type

report = tied.convert("model.onnx", pathlib.Path("model.tied"), dtype="int8", progress=lambda step, done, total: None)
assert_type(report.tables[0].rows, int)
with tied.Model("model.tied") as model, tied.Session(model, threads=2) as session:
    assert_type(model.info.tables[0].planes["values"].offset, int)
    assert_type(model.head.soft_cap, float)
    assert_type(session.embed([1, 2]), npt.NDArray[np.float32])
    hidden = np.ones((2, 3), np.float32)
    assert_type(session.argmax(hidden), npt.NDArray[np.int64])
    top = session.topk(hidden, 4, log_z_tolerance=0.01)
    assert_type(top.ids, npt.NDArray[np.int64])
    assert_type(top.log_z, Optional[npt.NDArray[np.float64]])
    session.topk(hidden, "4")  # type: ignore[arg-type]
    session.embed([1], out=[2])  # type: ignore[arg-type]
try:
    pass
except tied.Error as error:
    assert_type(error.status, Optional[tied.Status])
