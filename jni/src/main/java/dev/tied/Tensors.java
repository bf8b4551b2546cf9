package dev.tied;

import java.nio.Buffer;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A map of tensors, as the arrays that the native code reads. */
final class Tensors {
  final String[] keys;
  final byte[][] names;
  final TiedTensor[] tensors;
  final Buffer[] buffers;
  final int[] positions;
  final int[] remaining;
  final int[] types;
  final long[][] shapes;

  Tensors(Map<String, @Nullable TiedTensor> map, boolean outputs) {
    int count = map.size();
    keys = new String[count];
    names = new byte[count][];
    tensors = new TiedTensor[count];
    buffers = new Buffer[count];
    positions = new int[count];
    remaining = new int[count];
    types = new int[count];
    shapes = new long[count][];
    int i = 0;
    for (Map.Entry<String, @Nullable TiedTensor> entry : map.entrySet()) {
      keys[i] = entry.getKey();
      names[i] = NativeLibrary.text(keys[i]);
      if (entry.getValue() != null) {
        set(i, entry.getValue());
        if (outputs) {
          Buffers.writable(buffers[i], entry.getKey());
        }
      } else if (!outputs) {
        throw new NullPointerException(entry.getKey());
      }
      ++i;
    }
  }

  void set(int i, TiedTensor tensor) {
    tensors[i] = tensor;
    buffers[i] = tensor.buffer;
    positions[i] = tensor.buffer.position();
    remaining[i] = tensor.buffer.remaining();
    types[i] = tensor.type;
    shapes[i] = tensor.shape;
  }

  /** Sets the types and shapes that a call would return, without computing. */
  void describe(long pointer, @Nullable String entryPoint, Tensors in) {
    int[] given = types.clone();
    call(pointer, entryPoint, in, new Buffer[buffers.length]);
    for (int i = 0; i < types.length; ++i) {
      if (tensors[i] != null && types[i] != given[i]) {
        throw new IllegalArgumentException(
            keys[i] + " has element type " + types[i] + ", its tensor " + given[i] + " (numbers as in ONNX)");
      }
    }
  }

  /** Computes the outputs that have a buffer. */
  void call(long pointer, @Nullable String entryPoint, Tensors in, Buffer[] into) {
    TiedSession.nativeRun(
        pointer,
        NativeLibrary.text(entryPoint),
        in.names,
        in.buffers,
        in.positions,
        in.remaining,
        in.types,
        in.shapes,
        names,
        into,
        positions,
        remaining,
        types,
        shapes);
  }

  void makeMissing() {
    for (int i = 0; i < buffers.length; ++i) {
      if (buffers[i] == null) {
        set(i, TiedTensor.make(types[i], shapes[i]));
      }
    }
  }

  void store(Map<String, @Nullable TiedTensor> map) {
    for (int i = 0; i < names.length; ++i) {
      tensors[i].shape = shapes[i];
      map.put(keys[i], tensors[i]);
    }
  }
}
