package dev.tied;

import java.io.Closeable;
import java.io.FileDescriptor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A .tied file, mapped read-only. The table takes no Java heap, and all processes that map it share its pages.
 *
 * <p>Any number of threads may use a model at once. Methods of a closed model throw IllegalStateException. A model that
 * becomes unreachable is closed when it is collected.
 */
public final class TiedModel implements AutoCloseable {
  /** Ways to open a file. */
  public enum Option {
    /** Do what {@link #verify} does, which reads the whole file. */
    VERIFY,
    /**
     * Read the file into private memory instead of mapping it. <b>All of it is anonymous memory, which Android counts
     * against the app and limits;</b> it cannot be shared or given back to the system. Later changes of the file then
     * have no effect; without this option, a file that is truncated while it is in use kills the process (SIGBUS).
     */
    COPY
  }

  /** Follows {@link #prefetch}. */
  public interface Progress {
    /**
     * Called by the thread that called prefetch, before the first piece with {@code done} 0 and after each piece.
     *
     * @param done bytes read so far; at the end {@code total}
     * @return true to go on; false ends the call with {@link TiedException} CANCELLED
     */
    boolean update(long done, long total);
  }

  private final Handle handle;
  private final int rows;
  private final int cols;
  private final int vocabulary;
  private final int embeddingCols;

  private TiedModel(long pointer) {
    handle = new ModelHandle(this, pointer);
    int[] dimensions = new int[4];
    nativeDimensions(pointer, dimensions);
    rows = dimensions[0];
    cols = dimensions[1];
    vocabulary = dimensions[2];
    embeddingCols = dimensions[3];
  }

  /**
   * Maps the file and checks its header. This takes less than a millisecond for any size.
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
   * Maps {@code length} bytes (0: up to the end) at {@code offset}, a multiple of 4, of an open file, such as an
   * uncompressed Android asset. The caller keeps the descriptor and may close it afterwards.
   */
  public static TiedModel open(FileDescriptor descriptor, long offset, long length, Option... options) {
    if (descriptor == null) {
      throw new NullPointerException("descriptor");
    }
    return NativeLibrary.isAndroid()
        ? openOnAndroid(descriptor, offset, length, options)
        : open(nativeDescriptor(descriptor), offset, length, options);
  }

  /** Android hides the number in a FileDescriptor, and its public classes give that of a duplicate. */
  private static TiedModel openOnAndroid(FileDescriptor descriptor, long offset, long length, Option[] options) {
    try {
      Class<?> type = Class.forName("android.os.ParcelFileDescriptor");
      try (Closeable copy = (Closeable) type.getMethod("dup", FileDescriptor.class).invoke(null, descriptor)) {
        return open((int) type.getMethod("getFd").invoke(copy), offset, length, options);
      }
    } catch (IOException | ReflectiveOperationException e) {
      return open(-1, offset, length, options); // as for a descriptor that is closed
    }
  }

  /** Maps part of an open file, given the number of its descriptor: {@code ParcelFileDescriptor.getFd()}. */
  public static TiedModel open(int fd, long offset, long length, Option... options) {
    if (offset < 0 || length < 0) {
      throw new IllegalArgumentException("offset " + offset + " and length " + length + " must be at least 0");
    }
    return new TiedModel(nativeOpenFd(fd, offset, length, mask(options)));
  }

  /**
   * Rows of the head's table: the size of the vocabulary, or fewer if the converter dropped some ids.
   */
  public int rows() {
    return rows;
  }

  /** The number of logits per hidden state. Token ids are below it. */
  public int vocabulary() {
    return vocabulary;
  }

  /** The size of a hidden state. */
  public int cols() {
    return cols;
  }

  /** The size of an embedding: {@link #cols}, unless embedding and head use different tables. */
  public int embeddingCols() {
    return embeddingCols;
  }

  /** A session with one thread per performance core. Its results have the same bits on every CPU. */
  public TiedSession newSession() {
    return newSession(0, true);
  }

  /**
   * A new session with a private thread pool. It keeps the table mapped, even when the model is closed.
   *
   * @param threads 1 to 256, or 0 for one per performance core
   * @param deterministic true: results have the same bits on every CPU and for any number of threads and tokens; false:
   *     calls with many tokens may use XNNPACK where it is faster
   */
  public TiedSession newSession(int threads, boolean deterministic) {
    long pointer = handle.acquire();
    try {
      return new TiedSession(nativeNewSession(pointer, threads, deterministic), this);
    } finally {
      handle.release();
    }
  }

  /**
   * Reads the whole file: checks every hash, and that scales, zero points and residual norms are valid. Throws CORRUPT
   * and names the first error.
   */
  public void verify() {
    long pointer = handle.acquire();
    try {
      nativeVerify(pointer);
    } finally {
      handle.release();
    }
  }

  /**
   * Reads what {@link TiedSession#topK} and {@link TiedSession#argmax} read for each token into the system's page cache,
   * so that the first token does not wait for storage: of a table with a screen a fraction of it. Takes no memory of
   * this process. Call it from a background thread; sessions may run meanwhile.
   *
   * @param progress is told of every 4 MiB and may end the call; what it throws, this method throws. Null: none
   * @throws TiedException CANCELLED if progress ends it, IO_ERROR if the file cannot be read, OUT_OF_MEMORY
   */
  public void prefetch(@Nullable Progress progress) {
    prefetch(false, progress);
  }

  /**
   * As above, or with {@code everything} the whole file, for an app that uses {@link TiedSession#logits} or log_z
   * without a tolerance.
   */
  public void prefetch(boolean everything, @Nullable Progress progress) {
    long pointer = handle.acquire();
    try {
      nativePrefetch(pointer, everything, progress);
    } finally {
      handle.release();
    }
  }

  /**
   * Bytes of the file that are in this process's memory now: the model's share of its resident size.
   *
   * @throws TiedException NOT_FOUND, PERMISSION_DENIED or IO_ERROR if the system does not report it
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
   * Gives the table's pages back to the system. Call it from {@code ComponentCallbacks2.onTrimMemory(level)}; levels
   * below TRIM_MEMORY_RUNNING_LOW (10) do nothing. Safe while sessions run: they read the pages that they need again,
   * from storage if need be. So do not call it for TRIM_MEMORY_UI_HIDDEN (20) while a foreground service translates.
   *
   * @return the decrease of {@link #residentBytes}; 0 if the system does not report it
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

  /** The names of the graph's entry points. */
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

  /** Closes the model, after running calls have ended. The file is unmapped when its last session is closed as well. */
  @Override
  public void close() {
    handle.close();
  }

  @Override
  public String toString() {
    return "TiedModel[rows=" + rows + ", cols=" + cols + ", vocabulary=" + vocabulary + "]";
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

  /** dimensions: room for the head's rows, columns and vocabulary and the embedding's columns. */
  private static native void nativeDimensions(long model, int[] dimensions);

  private static native long nativeNewSession(long model, int threads, boolean deterministic);

  private static native void nativeVerify(long model);

  private static native void nativePrefetch(long model, boolean everything, @Nullable Progress progress);

  private static native long nativeResidentBytes(long model);

  private static native void nativeTrim(long model);

  private static native byte[][] nativeEntryPoints(long model);
}
