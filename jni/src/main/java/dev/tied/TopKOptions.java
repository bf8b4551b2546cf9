package dev.tied;

import java.nio.ByteBuffer;

/** Options of a top-k. Calls do not change them, so they can be reused. */
public final class TopKOptions {
  ByteBuffer allowed;
  boolean useScreen = true;
  double logZTolerance;

  /**
   * Allows only ids whose bit is 1: bit {@code id % 8} of byte {@code id / 8}, counted from the position of the buffer,
   * which must be direct. Null allows all ids. Blocks without an allowed row are not read.
   */
  public TopKOptions allowed(ByteBuffer bits) {
    if (bits != null) {
      Buffers.direct(bits, java.nio.ByteOrder.nativeOrder(), "allowed");
    }
    allowed = bits;
    return this;
  }

  /** Whether to use the table's screen, if it has one (default: true). The results are the same. */
  public TopKOptions useScreen(boolean use) {
    useScreen = use;
    return this;
  }

  /**
   * The largest acceptable error of log_z. 0 (default) computes it in float64, which takes a pass over the whole table.
   */
  public TopKOptions logZTolerance(double tolerance) {
    logZTolerance = tolerance;
    return this;
  }
}
