package dev.tied;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/** Options of a top-k. Immutable: each method returns a copy with a change. */
public final class TopKOptions {
  private static final TopKOptions DEFAULTS = new TopKOptions(null, true, 0);

  final @Nullable ByteBuffer allowed;
  final boolean useScreen;
  final double logZTolerance;

  private TopKOptions(@Nullable ByteBuffer allowed, boolean useScreen, double logZTolerance) {
    this.allowed = allowed;
    this.useScreen = useScreen;
    this.logZTolerance = logZTolerance;
  }

  /** All ids, through the table's screen if it has one, and a log_z in float64. */
  public static TopKOptions defaults() {
    return DEFAULTS;
  }

  /**
   * Allows only ids whose bit is 1: bit {@code id % 8} of byte {@code id / 8}, counted from the buffer's present
   * position. The buffer must be direct. Its bits are not copied and may change between calls. Null allows all ids.
   * Blocks without an allowed row are not read.
   */
  public TopKOptions withAllowed(@Nullable ByteBuffer bits) {
    ByteBuffer from = bits == null ? null : Buffers.direct(bits, ByteOrder.nativeOrder(), "allowed").slice();
    return new TopKOptions(from, useScreen, logZTolerance);
  }

  /** Whether to use the table's screen where it saves time (default: true). The results are the same. */
  public TopKOptions withScreen(boolean use) {
    return new TopKOptions(allowed, use, logZTolerance);
  }

  /**
   * The largest acceptable error of log_z. 0 (default) computes it in float64, which takes a pass over the whole table.
   */
  public TopKOptions withLogZTolerance(double tolerance) {
    return new TopKOptions(allowed, useScreen, tolerance);
  }

  @Override
  public String toString() {
    return "TopKOptions[allowed="
        + (allowed == null ? "all" : allowed.remaining() + " bytes")
        + ", useScreen="
        + useScreen
        + ", logZTolerance="
        + logZTolerance
        + "]";
  }
}
