package dev.tied;

import java.nio.Buffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.jspecify.annotations.Nullable;

/** What a buffer must be to be used, in place or by its array. */
final class Buffers {
  private Buffers() {}

  /** Returns the buffer if it is direct and of native byte order. */
  static <B extends Buffer> B direct(B buffer, ByteOrder order, String what) {
    if (!buffer.isDirect()) {
      throw new IllegalArgumentException(what + " is not a direct buffer: use ByteBuffer.allocateDirect");
    }
    if (order != ByteOrder.nativeOrder()) {
      throw new IllegalArgumentException(
          what + " has byte order " + order + ": use order(ByteOrder.nativeOrder()) before asFloatBuffer");
    }
    return buffer;
  }

  /**
   * The index of the buffer's first element: in its array if it has one that may be used, else in its memory, which must
   * then be direct.
   */
  static int start(FloatBuffer buffer, String what) {
    if (buffer.hasArray()) {
      return buffer.arrayOffset() + buffer.position();
    }
    if (!buffer.isDirect()) {
      throw new IllegalArgumentException(
          what + " is neither direct nor has an array: use ByteBuffer.allocateDirect or FloatBuffer.allocate");
    }
    return direct(buffer, buffer.order(), what).position();
  }

  /** The array of a buffer that has one, else null. */
  static float @Nullable [] arrayOf(FloatBuffer buffer) {
    return buffer.hasArray() ? buffer.array() : null;
  }

  static void writable(Buffer buffer, String what) {
    if (buffer.isReadOnly()) {
      throw new IllegalArgumentException(what + " is read-only");
    }
  }

  /** Throws unless {@code available} elements are enough for {@code count * width}. */
  static void checkRoom(long available, long count, long width, String what) {
    if (count < 0 || width < 0 || Math.multiplyExact(count, width) > available) {
      throw new IllegalArgumentException(
          what + " holds " + available + " elements, " + count + " x " + width + " are needed");
    }
  }
}
