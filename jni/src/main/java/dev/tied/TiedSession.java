package dev.tied;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.util.Map;

/**
 * Computes on a model with a private thread pool.
 *
 * <p>Any thread may call a session, one at a time: a second call during the first throws {@link TiedException} BUSY.
 * Only {@link #cancel} may be called during another call. Methods of a closed session throw IllegalStateException. A
 * session that becomes unreachable is closed when it is collected.
 *
 * <p>Buffers must be direct and in native byte order. They are used in place, from position to limit, and keep both.
 * Other buffers, read-only outputs and outputs that are too small throw IllegalArgumentException; views of byte buffers
 * that are not aligned to their elements, {@link TiedException} INVALID_ARGUMENT. Arrays are copied: they are small.
 * Only {@link #run} allocates objects.
 */
public final class TiedSession implements AutoCloseable {
  private final Handle handle;
  private final int vocabulary;
  private final int cols;
  private final int embeddingCols;

  TiedSession(long pointer, TiedModel model) {
    this.handle = new SessionHandle(this, pointer);
    this.vocabulary = model.vocabulary();
    this.cols = model.cols();
    this.embeddingCols = model.embeddingCols();
  }

  /** The number of threads that compute, including the calling thread. */
  public int threads() {
    long pointer = handle.acquire();
    try {
      return nativeThreads(pointer);
    } finally {
      handle.release();
    }
  }

  /**
   * Sets {@code embeddings[i, :] = row of ids[i] * scale}.
   *
   * @param embeddings room for [ids.length, embeddingCols]
   * @throws TiedException OUT_OF_RANGE for an id below 0, at or above the vocabulary, or dropped by the converter
   */
  public void embed(long[] ids, FloatBuffer embeddings) {
    output(embeddings, ids.length, embeddingCols, "embeddings");
    long pointer = handle.acquire();
    try {
      nativeEmbedArray(pointer, ids, embeddings, embeddings.position(), embeddings.remaining());
    } finally {
      handle.release();
    }
  }

  /** Embeds the ids from the buffer's position to its limit; see {@link #embed(long[], FloatBuffer)}. */
  public void embed(LongBuffer ids, FloatBuffer embeddings) {
    Buffers.direct(ids, ids.order(), "ids");
    output(embeddings, ids.remaining(), embeddingCols, "embeddings");
    long pointer = handle.acquire();
    try {
      nativeEmbed(
          pointer, ids, ids.position(), ids.remaining(), embeddings, embeddings.position(), embeddings.remaining());
    } finally {
      handle.release();
    }
  }

  /**
   * Sets {@code logits[t, id] = dot(hidden[t, :], row of id) + bias of id}, scaled and soft-capped as the model does
   * it, and -infinity for ids that the converter dropped.
   *
   * @param hidden [tokens, cols]
   * @param logits room for [tokens, vocabulary]
   */
  public void logits(FloatBuffer hidden, int tokens, FloatBuffer logits) {
    input(hidden, tokens);
    output(logits, tokens, vocabulary, "logits");
    long pointer = handle.acquire();
    try {
      nativeLogits(pointer, hidden, hidden.position(), tokens, logits, logits.position(), logits.remaining());
    } finally {
      handle.release();
    }
  }

  /** The id with the largest logit for one hidden state; of equal logits the lowest id. Does not write the logits. */
  public long argmax(FloatBuffer hidden) {
    input(hidden, 1);
    long pointer = handle.acquire();
    try {
      return nativeArgmax(pointer, hidden, hidden.position());
    } finally {
      handle.release();
    }
  }

  /**
   * Finds the k ids with the largest logits for each token, best first; of equal logits the lower id first. The result
   * is exact. Uses the table's screen if it has one.
   *
   * @param hidden [tokens, cols]
   * @param k 1 to 1024
   * @param ids room for [tokens, k]
   * @param logits room for [tokens, k], or null
   * @throws TiedException NOT_FINITE if hidden holds NaN or infinity or a logit is NaN; INVALID_ARGUMENT for a k out of
   *     range
   */
  public void topK(FloatBuffer hidden, int tokens, int k, long[] ids, float[] logits) {
    topK(hidden, tokens, k, null, ids, logits, null);
  }

  /**
   * As above, restricted to the allowed ids, and with log_z: the logarithm of the sum of exp(logit) over them. A logit
   * minus log_z is a log-probability.
   *
   * @param options null for all rows and an exact log_z
   * @param logZ room for [tokens], or null
   */
  public void topK(
      FloatBuffer hidden, int tokens, int k, TopKOptions options, long[] ids, float[] logits, double[] logZ) {
    input(hidden, tokens);
    Buffers.checkRoom(ids.length, tokens, k, "ids");
    if (logits != null) {
      Buffers.checkRoom(logits.length, tokens, k, "logits");
    }
    if (logZ != null) {
      Buffers.checkRoom(logZ.length, tokens, 1, "logZ");
    }
    ByteBuffer allowed = options == null ? null : options.allowed;
    long pointer = handle.acquire();
    try {
      nativeTopK(
          pointer,
          hidden,
          hidden.position(),
          tokens,
          k,
          allowed,
          allowed == null ? 0 : allowed.position(),
          allowed == null ? 0 : allowed.remaining(),
          options == null || options.useScreen,
          options == null ? 0 : options.logZTolerance,
          ids,
          logits,
          logZ);
    } finally {
      handle.release();
    }
  }

  /**
   * Runs an entry point with the names of the ONNX graph. The selector among the inputs chooses the entry point; inputs
   * that it does not read are ignored.
   *
   * @param outputs the outputs to compute, by name: a tensor with room for the result, whose shape the call sets; or
   *     null for a new tensor, which the call puts into the map
   */
  public void run(Map<String, TiedTensor> inputs, Map<String, TiedTensor> outputs) {
    run(null, inputs, outputs);
  }

  /** Runs the entry point of that name; selectors are then optional. */
  public void run(String entryPoint, Map<String, TiedTensor> inputs, Map<String, TiedTensor> outputs) {
    Tensors in = new Tensors(inputs, false);
    Tensors out = new Tensors(outputs, true);
    long pointer = handle.acquire();
    try {
      out.describe(pointer, entryPoint, in);
      out.makeMissing();
      out.call(pointer, entryPoint, in, out.buffers);
    } finally {
      handle.release();
    }
    out.store(outputs);
  }

  /**
   * Ends the running call, if any: it throws {@link TiedException} CANCELLED within a few milliseconds, and leaves its
   * outputs undefined. The session stays usable. Any thread may call this.
   */
  public void cancel() {
    long pointer = handle.acquire();
    try {
      nativeCancel(pointer);
    } finally {
      handle.release();
    }
  }

  /** Closes the session and its threads, after a running call has ended. */
  @Override
  public void close() {
    handle.close();
  }

  private void input(FloatBuffer hidden, int tokens) {
    Buffers.direct(hidden, hidden.order(), "hidden");
    Buffers.checkRoom(hidden.remaining(), tokens, cols, "hidden");
  }

  private static void output(FloatBuffer buffer, int count, int width, String what) {
    Buffers.direct(buffer, buffer.order(), what);
    Buffers.writable(buffer, what);
    Buffers.checkRoom(buffer.remaining(), count, width, what);
  }

  /** A map of tensors, as the arrays that the native code reads. */
  private static final class Tensors {
    final String[] keys;
    final byte[][] names;
    final TiedTensor[] tensors;
    final Buffer[] buffers;
    final int[] positions;
    final int[] remaining;
    final int[] types;
    final long[][] shapes;

    Tensors(Map<String, TiedTensor> map, boolean outputs) {
      int count = map.size();
      keys = new String[count];
      names = new byte[count][];
      tensors = new TiedTensor[count];
      buffers = new Buffer[count];
      positions = new int[count];
      remaining = new int[count];
      types = new int[count];
      shapes = new long[count][];
      int i = 0;
      for (Map.Entry<String, TiedTensor> entry : map.entrySet()) {
        keys[i] = entry.getKey();
        names[i] = NativeLibrary.text(keys[i]);
        if (entry.getValue() != null) {
          set(i, entry.getValue());
          if (outputs) {
            Buffers.writable(buffers[i], entry.getKey());
          }
        } else if (!outputs) {
          throw new NullPointerException(entry.getKey());
        }
        ++i;
      }
    }

    void set(int i, TiedTensor tensor) {
      tensors[i] = tensor;
      buffers[i] = tensor.buffer;
      positions[i] = tensor.buffer.position();
      remaining[i] = tensor.buffer.remaining();
      types[i] = tensor.type;
      shapes[i] = tensor.shape;
    }

    /** Sets the types and shapes that a call would return, without computing. */
    void describe(long pointer, String entryPoint, Tensors in) {
      int[] given = types.clone();
      call(pointer, entryPoint, in, new Buffer[buffers.length]);
      for (int i = 0; i < types.length; ++i) {
        if (tensors[i] != null && types[i] != given[i]) {
          throw new IllegalArgumentException(
              keys[i] + " has element type " + types[i] + ", its tensor " + given[i] + " (numbers as in ONNX)");
        }
      }
    }

    /** Computes the outputs that have a buffer. */
    void call(long pointer, String entryPoint, Tensors in, Buffer[] into) {
      nativeRun(
          pointer,
          NativeLibrary.text(entryPoint),
          in.names,
          in.buffers,
          in.positions,
          in.remaining,
          in.types,
          in.shapes,
          names,
          into,
          positions,
          remaining,
          types,
          shapes);
    }

    void makeMissing() {
      for (int i = 0; i < buffers.length; ++i) {
        if (buffers[i] == null) {
          set(i, TiedTensor.make(types[i], shapes[i]));
        }
      }
    }

    void store(Map<String, TiedTensor> map) {
      for (int i = 0; i < names.length; ++i) {
        tensors[i].shape = shapes[i];
        map.put(keys[i], tensors[i]);
      }
    }
  }

  private static final class SessionHandle extends Handle {
    SessionHandle(TiedSession owner, long pointer) {
      super(owner, pointer, "the session");
    }

    @Override
    void free(long pointer) {
      nativeClose(pointer);
    }
  }

  private static native void nativeClose(long session);

  private static native int nativeThreads(long session);

  private static native void nativeCancel(long session);

  private static native void nativeEmbedArray(
      long session, long[] ids, FloatBuffer embeddings, int position, int remaining);

  private static native void nativeEmbed(
      long session,
      LongBuffer ids,
      int idsPosition,
      int idsRemaining,
      FloatBuffer embeddings,
      int position,
      int remaining);

  private static native void nativeLogits(
      long session, FloatBuffer hidden, int hiddenPosition, int tokens, FloatBuffer logits, int position, int remaining);

  private static native long nativeArgmax(long session, FloatBuffer hidden, int position);

  private static native void nativeTopK(
      long session,
      FloatBuffer hidden,
      int position,
      int tokens,
      int k,
      ByteBuffer allowed,
      int allowedPosition,
      int allowedRemaining,
      boolean useScreen,
      double logZTolerance,
      long[] ids,
      float[] logits,
      double[] logZ);

  private static native void nativeRun(
      long session,
      byte[] entryPoint,
      byte[][] inputNames,
      Buffer[] inputs,
      int[] inputPositions,
      int[] inputRemaining,
      int[] inputTypes,
      long[][] inputShapes,
      byte[][] outputNames,
      Buffer[] outputs,
      int[] outputPositions,
      int[] outputRemaining,
      int[] outputTypes,
      long[][] outputShapes);
}
