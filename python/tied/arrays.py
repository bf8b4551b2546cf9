"""Arguments as the arrays that the library uses in place. Errors name the argument and say what to pass instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

_FLOAT32 = np.dtype(np.float32)
_INT64 = np.dtype(np.int64)
_ON_THE_CPU = (1, 3, 11)  # DLPack's device types: plain memory, and memory pinned for a GPU

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


def hidden_states(value: Any, cols: int) -> Floats:
    """`value` if it is float32 [..., cols] and C-contiguous; float16 is converted."""
    if type(value) is np.ndarray and value.dtype is _FLOAT32 and _is_in_order(value):
        array = value
    else:
        array = _checked(_array(value, "hidden"), "hidden", _FLOAT32, np.dtype(np.float16))
    if array.ndim == 0 or array.shape[-1] != cols:
        raise ValueError(f"hidden has the shape {list(array.shape)}; it must be [..., {cols}], one hidden state a row")
    return array


def token_ids(value: Any, name: str = "ids") -> Ids:
    """`value` if it is int64 and C-contiguous; lists of integers are converted."""
    if type(value) is np.ndarray and value.dtype is _INT64 and _is_in_order(value):
        return value
    if isinstance(value, (int, list, tuple, range)) and not isinstance(value, bool):
        made = np.array(value)
        if made.size == 0:
            return np.zeros(made.shape, np.int64)
        value = made
    checked: Ids = _checked(_array(value, name), name, _INT64)
    return checked


def output(value: Optional[npt.NDArray[Any]], shape: Sequence[int], dtype: Any, *inputs: npt.NDArray[Any]) -> Any:
    """`value` if results of that shape and dtype can be written to it; a new array if it is None."""
    if value is None:
        return np.empty(shape, dtype)
    if not isinstance(value, np.ndarray):
        raise TypeError(f"out is {_kind(value)}; it must be a NumPy array")
    if value.dtype != dtype:
        raise TypeError(f"out is {value.dtype}; it must be {np.dtype(dtype)}")
    if value.shape != tuple(shape):
        raise ValueError(f"out has the shape {list(value.shape)}; it must be {list(shape)}")
    if not value.flags.c_contiguous or not value.flags.writeable or not value.flags.aligned:
        raise ValueError("out must be C-contiguous, aligned and writeable, as np.empty() makes it")
    if any(np.may_share_memory(value, given) for given in inputs):
        raise ValueError("out overlaps an input")
    return value


def allowed_bits(value: Any, vocabulary: int) -> npt.NDArray[np.uint8]:
    """The bitmap of allowed ids, from itself or from a Boolean mask."""
    array = _array(value, "allowed")
    if array.dtype == np.bool_ and array.shape == (vocabulary,):
        return np.packbits(array, bitorder="little")
    if array.dtype == np.uint8 and array.shape == ((vocabulary + 7) // 8,):
        return np.ascontiguousarray(array)
    raise TypeError(
        f"allowed is {array.dtype} {list(array.shape)}; it must be a Boolean mask [{vocabulary}], or its bits, "
        f"np.packbits(mask, bitorder='little')")


def tensor(value: Any, name: str) -> npt.NDArray[Any]:
    """An input of Session.run(): float32, int64, int32 or bool, C-contiguous."""
    array = _array(value, name)
    for dtype in (_FLOAT32, _INT64, np.dtype(np.int32), np.dtype(np.bool_)):
        if array.dtype == dtype:
            return _in_order(array, name)
    raise TypeError(f"{name} is {array.dtype}; it must be float32, int64, int32 or bool: pass an array .astype() that")


def _is_in_order(array: npt.NDArray[Any]) -> bool:
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _array(value: Any, name: str) -> npt.NDArray[Any]:
    """A NumPy array of the same memory."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack_device__"):
        if value.__dlpack_device__()[0] not in _ON_THE_CPU:
            raise ValueError(f"{name} is a {_kind(value)} on a device; tied runs on the CPU: pass {name}.cpu()")
        try:
            return np.asarray(np.from_dlpack(value))
        except (BufferError, RuntimeError, TypeError) as error:
            raise TypeError(f"{name} is a {_kind(value)} that NumPy cannot use: {error}") from error
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        return np.asarray(value)
    raise TypeError(f"{name} is a {_kind(value)}; it must be an array, such as np.asarray({name}, ...) makes")


def _checked(array: npt.NDArray[Any], name: str, dtype: np.dtype[Any], converted: Any = None) -> Any:
    if array.dtype != dtype:
        if converted is None or array.dtype != converted:
            raise TypeError(f"{name} is {array.dtype}; it must be {dtype}: pass {name}.astype(np.{dtype})")
        array = array.astype(dtype)
    return _in_order(array, name)


def _in_order(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} is not C-contiguous: pass np.ascontiguousarray({name})")
    if not array.flags.aligned:
        raise ValueError(f"{name} is not aligned to its elements: pass {name}.copy()")
    return array
