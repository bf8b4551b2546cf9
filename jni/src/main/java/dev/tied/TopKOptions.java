package dev.tied;

import java.nio.ByteBuffer;

/** Restricts and describes a top-k. Reusable; not changed by a call. */
public final class TopKOptions {
  ByteBuffer allowed;
  boolean useScreen = true;
  double logZTolerance;

  /**
   * Only ids whose bit is 1: bit {@code id % 8} of byte {@code id / 8} from the buffer's position on, which is direct.
   * Null for all ids. Blocks of rows that are wholly denied are not read.
   */
  public TopKOptions allowed(ByteBuffer bits) {
    if (bits != null) {
      Buffers.direct(bits, java.nio.ByteOrder.nativeOrder(), "allowed");
    }
    allowed = bits;
    return this;
  }

  /** Whether the table's screen is used, if it has one (default). The results are the same. */
  public TopKOptions useScreen(boolean use) {
    useScreen = use;
    return this;
  }

  /** How far log_z may be off; 0 (default): as exact as float64 is, which takes a pass over the table. */
  public TopKOptions logZTolerance(double tolerance) {
    logZTolerance = tolerance;
    return this;
  }
}
