package dev.tied;

import java.nio.charset.StandardCharsets;

/**
 * A failed call of the native library. It leaves its outputs and the session unchanged, unless documented otherwise.
 */
public final class TiedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Why a call failed: the codes of {@code tied_status} in tied.h, in the same order. */
  public enum Status {
    OK,
    INVALID_ARGUMENT,
    OUT_OF_RANGE,
    BUFFER_TOO_SMALL,
    NOT_FOUND,
    PERMISSION_DENIED,
    IO_ERROR,
    CORRUPT,
    UNSUPPORTED,
    OUT_OF_MEMORY,
    NOT_FINITE,
    BUSY,
    INTERNAL,
    CANCELLED;

    private static final Status[] VALUES = values();

    static Status of(int code) {
      return code > 0 && code < VALUES.length ? VALUES[code] : INTERNAL;
    }
  }

  private final Status status;

  // Called by the native code. The message is UTF-8 if the names in it are.
  TiedException(int code, byte[] message) {
    super(Status.of(code) + ": " + new String(message, StandardCharsets.UTF_8));
    this.status = Status.of(code);
  }

  /** Why the call failed. */
  public Status status() {
    return status;
  }
}
