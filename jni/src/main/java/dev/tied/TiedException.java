package dev.tied;

import java.nio.charset.StandardCharsets;

/**
 * A failed call of the native library. It leaves its outputs and the session unchanged, unless documented otherwise.
 */
public final class TiedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Why a call failed: the codes of {@code tied_status} in tied.h, in the same order. */
  public enum Status {
    /** Never thrown. */
    OK,
    /** A wrong name, type, rank, shape or size. */
    INVALID_ARGUMENT,
    /** A token id below 0, at or above the vocabulary, or dropped. */
    OUT_OF_RANGE,
    /** The result does not fit into an output. */
    BUFFER_TOO_SMALL,
    /** No such file, or no entry point, input or output of that name. */
    NOT_FOUND,
    /** The file may not be read. */
    PERMISSION_DENIED,
    /** The system failed to open, read or map the file. */
    IO_ERROR,
    /** Not a .tied file, or one that is truncated or damaged. */
    CORRUPT,
    /** A newer format version, or something that the model does not have. */
    UNSUPPORTED,
    /** Native memory ran out. */
    OUT_OF_MEMORY,
    /** NaN or infinity where a number is needed. */
    NOT_FINITE,
    /** Another thread is using the session. */
    BUSY,
    /** A bug in the library or in one that it uses. */
    INTERNAL,
    /** {@link TiedSession#cancel} was called, or a listener said stop. */
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
