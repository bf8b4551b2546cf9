package dev.tied;

import java.nio.Buffer;
import java.nio.ByteOrder;

/** What a buffer must be to be used in place. */
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
