package dev.tied;

import java.io.FileDescriptor;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * A .tied file, mapped read-only: the table takes no Java heap and is shared with every process that maps it.
 *
 * <p>Used by any number of threads at once. Methods of a closed model throw IllegalStateException. A model that is
 * forgotten is closed once it is garbage.
 */
public final class TiedModel implements AutoCloseable {
  /** Ways to open a file. */
  public enum Option {
    /** Check the hash of every plane. Reads the whole file. */
    VERIFY,
    /**
     * Read the file into memory of this process instead of mapping it. What happens to the file afterwards is of no
     * concern: without this option, a file that is truncated while it is in use kills the process (SIGBUS). The memory
     * cannot be given back, nor shared.
     */
    COPY
  }

  private final Handle handle;
  private final int rows;
  private final int cols;
  private final int vocabulary;
  private final int embeddingCols;

  private TiedModel(long pointer) {
    handle = new ModelHandle(this, pointer);
    int[] shape = new int[3];
    nativeTableShape(pointer, false, shape);
    embeddingCols = shape[1];
    nativeTableShape(pointer, true, shape);
    rows = shape[0];
    cols = shape[1];
    vocabulary = shape[2];
  }

  /**
   * Maps the file and checks its header, which takes less than a millisecond, whatever the size.
   *
   * @throws TiedException NOT_FOUND, PERMISSION_DENIED, IO_ERROR, CORRUPT, UNSUPPORTED, OUT_OF_MEMORY
   */
  public static TiedModel open(String path, Option... options) {
    if (path == null) {
      throw new NullPointerException("path");
    }
    return new TiedModel(nativeOpen(NativeLibrary.text(path), mask(options)));
  }

  /**
   * The same for {@code length} bytes (0: up to the end) at {@code offset}, a multiple of 4, of an open file: an
   * uncompressed Android asset. The descriptor stays the caller's and may be closed afterwards.
   */
  public static TiedModel open(FileDescriptor descriptor, long offset, long length, Option... options) {
    if (descriptor == null) {
      throw new NullPointerException("descriptor");
    }
    return open(nativeDescriptor(descriptor), offset, length, options);
  }

  /** The same for a descriptor's number: {@code ParcelFileDescriptor.getFd()}. */
  public static TiedModel open(int fd, long offset, long length, Option... options) {
    if (offset < 0 || length < 0) {
      throw new IllegalArgumentException("offset " + offset + " and length " + length + " must be at least 0");
    }
    return new TiedModel(nativeOpenFd(fd, offset, length, mask(options)));
  }

  /**
   * Rows of the table that logits come from: as many as the vocabulary has ids, or fewer where some were dropped by the
   * converter.
   */
  public int rows() {
    return rows;
  }

  /** Token ids are below it: how many logits there are for each hidden state. */
  public int vocabulary() {
    return vocabulary;
  }

  /** Columns of the table that logits come from: the size of a hidden state. */
  public int cols() {
    return cols;
  }

  /** The size of an embedding: {@link #cols}, unless the model has a table of its own for embeddings. */
  public int embeddingCols() {
    return embeddingCols;
  }

  /** A session with one thread for each performance core, whose results are the same bits on every CPU. */
  public TiedSession newSession() {
    return newSession(0, true);
  }

  /**
   * A session of its own threads. It keeps the table mapped, even when the model is closed.
   *
   * @param threads 1 to 256, or 0 for one a performance core
   * @param deterministic the same bits on every CPU and for any number of threads and tokens; false lets XNNPACK take
   *     calls of many tokens where it is faster
   */
  public TiedSession newSession(int threads, boolean deterministic) {
    long pointer = handle.acquire();
    try {
      return new TiedSession(nativeNewSession(pointer, threads, deterministic), this);
    } finally {
      handle.release();
    }
  }

  /** Checks the hash of every plane: reads the whole file. Throws CORRUPT with the first that is wrong. */
  public void verify() {
    long pointer = handle.acquire();
    try {
      nativeVerify(pointer);
    } finally {
      handle.release();
    }
  }

  /**
   * Bytes of the file that are in this process's memory now: what the model adds to its resident size.
   *
   * @throws TiedException NOT_FOUND, PERMISSION_DENIED or IO_ERROR where the system does not tell
   */
  public long residentBytes() {
    long pointer = handle.acquire();
    try {
      return nativeResidentBytes(pointer);
    } finally {
      handle.release();
    }
  }

  /**
   * Gives the table's pages back to the system, for {@code ComponentCallbacks2.onTrimMemory(level)}: from
   * TRIM_MEMORY_RUNNING_LOW (10) on; lower levels do nothing. Safe beside running sessions, which read what they need
   * from the file again.
   *
   * @return bytes given back, by the count of {@link #residentBytes}; 0 where the system does not tell
   */
  public long trimMemory(int level) {
    final int runningLow = 10;
    if (level < runningLow) {
      return 0;
    }
    long pointer = handle.acquire();
    try {
      long before = residentBytesOrZero(pointer);
      nativeTrim(pointer);
      return Math.max(0, before - residentBytesOrZero(pointer));
    } finally {
      handle.release();
    }
  }

  private static long residentBytesOrZero(long pointer) {
    try {
      return nativeResidentBytes(pointer);
    } catch (TiedException e) {
      return 0;
    }
  }

  /** Names of the graph's entry points. */
  public List<String> entryPoints() {
    long pointer = handle.acquire();
    try {
      List<String> names = new ArrayList<>();
      for (byte[] name : nativeEntryPoints(pointer)) {
        names.add(new String(name, StandardCharsets.UTF_8));
      }
      return Collections.unmodifiableList(names);
    } finally {
      handle.release();
    }
  }

  /** Calls that run may end; the file is unmapped when the last session is closed, too. */
  @Override
  public void close() {
    handle.close();
  }

  private static int mask(Option[] options) {
    int mask = 0;
    for (Option option : options) {
      mask |= 1 << option.ordinal();
    }
    return mask;
  }

  private static final class ModelHandle extends Handle {
    ModelHandle(TiedModel owner, long pointer) {
      super(owner, pointer, "the model");
    }

    @Override
    void free(long pointer) {
      nativeClose(pointer);
    }
  }

  static {
    NativeLibrary.load();
  }

  /** path: UTF-8, ending in 0. */
  private static native long nativeOpen(byte[] path, int options);

  private static native long nativeOpenFd(int fd, long offset, long length, int options);

  private static native int nativeDescriptor(FileDescriptor descriptor);

  private static native void nativeClose(long model);

  /** shape: room for the rows, columns and vocabulary of the first table with that use, or of the only one. */
  private static native void nativeTableShape(long model, boolean head, int[] shape);

  private static native long nativeNewSession(long model, int threads, boolean deterministic);

  private static native void nativeVerify(long model);

  private static native long nativeResidentBytes(long model);

  private static native void nativeTrim(long model);

  private static native byte[][] nativeEntryPoints(long model);
}
