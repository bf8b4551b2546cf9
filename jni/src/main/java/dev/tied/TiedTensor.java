package dev.tied;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.util.Arrays;

/** An input or output of {@link TiedSession#run}: a direct buffer, which is used in place, and a shape. */
public final class TiedTensor {
  private static final int FLOAT32 = 1;
  private static final int INT32 = 6;
  private static final int INT64 = 7;
  private static final int BOOL = 9;

  final int type;
  final Buffer buffer;
  /** Set by the call if this is an output. */
  long[] shape;

  private TiedTensor(int type, Buffer buffer, long[] shape) {
    this.type = type;
    this.buffer = buffer;
    this.shape = shape;
  }

  /**
   * A float32 tensor of the elements from the buffer's position to its limit. The buffer must be direct, in native byte
   * order and, as a view of a byte buffer, aligned to its elements.
   */
  public static TiedTensor of(FloatBuffer values, long... shape) {
    return new TiedTensor(FLOAT32, Buffers.direct(values, values.order(), "values"), shape.clone());
  }

  /** An int64 tensor of the elements from the buffer's position to its limit. */
  public static TiedTensor of(LongBuffer values, long... shape) {
    return new TiedTensor(INT64, Buffers.direct(values, values.order(), "values"), shape.clone());
  }

  /** An int32 tensor of the elements from the buffer's position to its limit. */
  public static TiedTensor of(IntBuffer values, long... shape) {
    return new TiedTensor(INT32, Buffers.direct(values, values.order(), "values"), shape.clone());
  }

  /** A selector: one Boolean. */
  public static TiedTensor of(boolean value) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(1);
    bytes.put(0, (byte) (value ? 1 : 0));
    return new TiedTensor(BOOL, bytes, new long[] {1});
  }

  /** An int64 tensor with a copy of the ids in a new direct buffer. */
  public static TiedTensor ofIds(long[] ids, long... shape) {
    LongBuffer buffer =
        ByteBuffer.allocateDirect(Math.multiplyExact(ids.length, 8)).order(ByteOrder.nativeOrder()).asLongBuffer();
    buffer.duplicate().put(ids);
    return of(buffer, shape);
  }

  /** An int32 tensor with a copy of the ids in a new direct buffer. */
  public static TiedTensor ofIds(int[] ids, long... shape) {
    IntBuffer buffer =
        ByteBuffer.allocateDirect(Math.multiplyExact(ids.length, 4)).order(ByteOrder.nativeOrder()).asIntBuffer();
    buffer.duplicate().put(ids);
    return of(buffer, shape);
  }

  /** A new tensor of zeros. */
  static TiedTensor make(int type, long[] shape) {
    long count = 1;
    for (long dim : shape) {
      count = Math.multiplyExact(count, dim);
    }
    int width = type == INT64 ? 8 : type == BOOL ? 1 : 4;
    ByteBuffer bytes =
        ByteBuffer.allocateDirect(Math.toIntExact(Math.multiplyExact(count, width))).order(ByteOrder.nativeOrder());
    Buffer buffer =
        type == INT64
            ? bytes.asLongBuffer()
            : type == INT32 ? bytes.asIntBuffer() : type == BOOL ? bytes : bytes.asFloatBuffer();
    return new TiedTensor(type, buffer, shape);
  }

  /** The dimensions; for an output, those that the last call set. */
  public long[] shape() {
    return shape.clone();
  }

  /** The elements of a float32 tensor. */
  public FloatBuffer floats() {
    if (!(buffer instanceof FloatBuffer)) {
      throw new IllegalStateException("not a float32 tensor");
    }
    return ((FloatBuffer) buffer).duplicate();
  }

  /** The elements of an int64 tensor. */
  public LongBuffer longs() {
    if (!(buffer instanceof LongBuffer)) {
      throw new IllegalStateException("not an int64 tensor");
    }
    return ((LongBuffer) buffer).duplicate();
  }

  /** The elements of an int32 tensor. */
  public IntBuffer ints() {
    if (!(buffer instanceof IntBuffer)) {
      throw new IllegalStateException("not an int32 tensor");
    }
    return ((IntBuffer) buffer).duplicate();
  }

  /** Type and shape, such as "float32 [1, 2, 1024]". */
  @Override
  public String toString() {
    String name = type == FLOAT32 ? "float32" : type == INT64 ? "int64" : type == INT32 ? "int32" : "bool";
    return name + " " + Arrays.toString(shape);
  }
}
