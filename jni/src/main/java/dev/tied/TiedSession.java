package dev.tied;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Computes on a model with a private thread pool.
 *
 * <p>Any thread may call a session, one at a time: a second call during the first throws {@link TiedException} BUSY.
 * Only {@link #cancel} may be called during another call. Methods of a closed session throw IllegalStateException. A
 * session that becomes unreachable is closed when it is collected.
 *
 * <p>Logits, tensors and bitmaps are direct buffers in native byte order, which are used in place. Token ids, hidden
 * states and embeddings may be direct buffers, arrays, or buffers of arrays, such as {@code FloatBuffer.allocate()} and
 * {@code OnnxTensor.getFloatBuffer()} make; what is in an array is copied to native memory and back, 4 KB for a hidden
 * state of 1024 numbers. Buffers are used from position to limit, and keep both. Other buffers, read-only outputs and
 * outputs that are too small throw IllegalArgumentException; views of byte buffers that are not aligned to their
 * elements, {@link TiedException} INVALID_ARGUMENT. Only {@link #run} allocates objects.
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
    embed(null, ids, null, 0, ids.length, embeddings, null);
  }

  /** See {@link #embed(long[], FloatBuffer)}. */
  public void embed(int[] ids, FloatBuffer embeddings) {
    embed(null, null, ids, 0, ids.length, embeddings, null);
  }

  /** See {@link #embed(long[], FloatBuffer)}. */
  public void embed(long[] ids, float[] embeddings) {
    embed(null, ids, null, 0, ids.length, null, embeddings);
  }

  /** See {@link #embed(long[], FloatBuffer)}. */
  public void embed(int[] ids, float[] embeddings) {
    embed(null, null, ids, 0, ids.length, null, embeddings);
  }

  /** Embeds the ids from the buffer's position to its limit; see {@link #embed(long[], FloatBuffer)}. */
  public void embed(LongBuffer ids, FloatBuffer embeddings) {
    if (ids.hasArray()) {
      embed(null, ids.array(), null, ids.arrayOffset() + ids.position(), ids.remaining(), embeddings, null);
    } else {
      embed(Buffers.direct(ids, ids.order(), "ids"), null, null, ids.position(), ids.remaining(), embeddings, null);
    }
  }

  /** Embeds the ids from the buffer's position to its limit; see {@link #embed(long[], FloatBuffer)}. */
  public void embed(IntBuffer ids, FloatBuffer embeddings) {
    if (ids.hasArray()) {
      embed(null, null, ids.array(), ids.arrayOffset() + ids.position(), ids.remaining(), embeddings, null);
    } else {
      embed(Buffers.direct(ids, ids.order(), "ids"), null, null, ids.position(), ids.remaining(), embeddings, null);
    }
  }

  /** One of the ids and one of the embeddings is not null. */
  private void embed(
      @Nullable Buffer idBuffer,
      long @Nullable [] longs,
      int @Nullable [] ints,
      int idsPosition,
      int count,
      @Nullable FloatBuffer buffer,
      float @Nullable [] array) {
    int position = 0;
    int room;
    if (buffer != null) {
      Buffers.writable(buffer, "embeddings");
      room = buffer.remaining();
      position = Buffers.start(buffer, "embeddings");
      array = Buffers.arrayOf(buffer);
    } else {
      room = array.length;
    }
    Buffers.checkRoom(room, count, embeddingCols, "embeddings");
    long pointer = handle.acquire();
    try {
      nativeEmbed(
          pointer,
          idBuffer,
          idBuffer instanceof IntBuffer,
          longs,
          ints,
          idsPosition,
          count,
          array == null ? buffer : null,
          array,
          position,
          count * embeddingCols);
    } finally {
      handle.release();
    }
  }

  /**
   * Sets {@code logits[t, id] = dot(hidden[t, :], row of id) + bias of id}, scaled and soft-capped as the model does
   * it, and -infinity for ids that the converter dropped.
   *
   * @param hidden [tokens, cols]
   * @param logits room for [tokens, vocabulary]; a direct buffer, because it is large
   */
  public void logits(FloatBuffer hidden, int tokens, FloatBuffer logits) {
    input(hidden, tokens);
    Buffers.direct(logits, logits.order(), "logits");
    Buffers.writable(logits, "logits");
    Buffers.checkRoom(logits.remaining(), tokens, vocabulary, "logits");
    int start = Buffers.start(hidden, "hidden");
    float[] array = Buffers.arrayOf(hidden);
    long pointer = handle.acquire();
    try {
      nativeLogits(
          pointer,
          array == null ? hidden : null,
          array,
          start,
          tokens,
          tokens * cols,
          logits,
          logits.position(),
          logits.remaining());
    } finally {
      handle.release();
    }
  }

  /** The id with the largest logit for one hidden state; of equal logits the lowest id. Does not write the logits. */
  public long argmax(FloatBuffer hidden) {
    input(hidden, 1);
    return argmax(hidden, Buffers.arrayOf(hidden), Buffers.start(hidden, "hidden"));
  }

  /** See {@link #argmax(FloatBuffer)}. */
  public long argmax(float[] hidden) {
    Buffers.checkRoom(hidden.length, 1, cols, "hidden");
    return argmax(null, hidden, 0);
  }

  private long argmax(@Nullable FloatBuffer buffer, float @Nullable [] array, int position) {
    long pointer = handle.acquire();
    try {
      return nativeArgmax(pointer, array == null ? buffer : null, array, position, cols);
    } finally {
      handle.release();
    }
  }

  /** Sets {@code ids[t]} to the id with the largest logit for each token; see {@link #argmax(FloatBuffer)}. */
  public void argmax(FloatBuffer hidden, int tokens, long[] ids) {
    topK(hidden, tokens, 1, null, ids, null, null);
  }

  /** Sets {@code ids[t]} to the id with the largest logit for each token; see {@link #argmax(FloatBuffer)}. */
  public void argmax(FloatBuffer hidden, int tokens, int[] ids) {
    topK(hidden, tokens, 1, null, ids, null, null);
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
  public void topK(FloatBuffer hidden, int tokens, int k, long[] ids, float @Nullable [] logits) {
    topK(hidden, tokens, k, null, ids, logits, null);
  }

  /** See {@link #topK(FloatBuffer, int, int, long[], float[])}. */
  public void topK(FloatBuffer hidden, int tokens, int k, int[] ids, float @Nullable [] logits) {
    topK(hidden, tokens, k, null, ids, logits, null);
  }

  /** See {@link #topK(FloatBuffer, int, int, long[], float[])}. */
  public void topK(float[] hidden, int tokens, int k, long[] ids, float @Nullable [] logits) {
    topK(hidden, tokens, k, null, ids, logits, null);
  }

  /** See {@link #topK(FloatBuffer, int, int, long[], float[])}. */
  public void topK(float[] hidden, int tokens, int k, int[] ids, float @Nullable [] logits) {
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
      FloatBuffer hidden,
      int tokens,
      int k,
      @Nullable TopKOptions options,
      long[] ids,
      float @Nullable [] logits,
      double @Nullable [] logZ) {
    input(hidden, tokens);
    int start = Buffers.start(hidden, "hidden");
    topK(hidden, Buffers.arrayOf(hidden), start, tokens, k, options, null, ids, null, 0, ids.length, logits, logZ);
  }

  /** See {@link #topK(FloatBuffer, int, int, TopKOptions, long[], float[], double[])}. */
  public void topK(
      FloatBuffer hidden,
      int tokens,
      int k,
      @Nullable TopKOptions options,
      int[] ids,
      float @Nullable [] logits,
      double @Nullable [] logZ) {
    input(hidden, tokens);
    int start = Buffers.start(hidden, "hidden");
    topK(hidden, Buffers.arrayOf(hidden), start, tokens, k, options, null, null, ids, 0, ids.length, logits, logZ);
  }

  /** Writes the ids from the position of the buffer; see {@link #topK(FloatBuffer, int, int, long[], float[])}. */
  public void topK(
      FloatBuffer hidden,
      int tokens,
      int k,
      @Nullable TopKOptions options,
      IntBuffer ids,
      float @Nullable [] logits,
      double @Nullable [] logZ) {
    input(hidden, tokens);
    Buffers.writable(ids, "ids");
    int start = Buffers.start(hidden, "hidden");
    float[] array = Buffers.arrayOf(hidden);
    int room = ids.remaining();
    if (ids.hasArray()) {
      int at = ids.arrayOffset() + ids.position();
      topK(hidden, array, start, tokens, k, options, null, null, ids.array(), at, room, logits, logZ);
    } else {
      Buffers.direct(ids, ids.order(), "ids");
      topK(hidden, array, start, tokens, k, options, ids, null, null, ids.position(), room, logits, logZ);
    }
  }

  /** See {@link #topK(FloatBuffer, int, int, TopKOptions, long[], float[], double[])}. */
  public void topK(
      float[] hidden,
      int tokens,
      int k,
      @Nullable TopKOptions options,
      long[] ids,
      float @Nullable [] logits,
      double @Nullable [] logZ) {
    Buffers.checkRoom(hidden.length, tokens, cols, "hidden");
    topK(null, hidden, 0, tokens, k, options, null, ids, null, 0, ids.length, logits, logZ);
  }

  /** See {@link #topK(FloatBuffer, int, int, TopKOptions, long[], float[], double[])}. */
  public void topK(
      float[] hidden,
      int tokens,
      int k,
      @Nullable TopKOptions options,
      int[] ids,
      float @Nullable [] logits,
      double @Nullable [] logZ) {
    Buffers.checkRoom(hidden.length, tokens, cols, "hidden");
    topK(null, hidden, 0, tokens, k, options, null, null, ids, 0, ids.length, logits, logZ);
  }

  /** The hidden states are in the array, or in the buffer if that is null; one of the three for ids is not null. */
  private void topK(
      @Nullable FloatBuffer buffer,
      float @Nullable [] array,
      int position,
      int tokens,
      int k,
      @Nullable TopKOptions options,
      @Nullable IntBuffer idBuffer,
      long @Nullable [] longs,
      int @Nullable [] ints,
      int idsPosition,
      int idsRoom,
      float @Nullable [] logits,
      double @Nullable [] logZ) {
    Buffers.checkRoom(idsRoom, tokens, k, "ids");
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
          array == null ? buffer : null,
          array,
          position,
          tokens,
          tokens * cols,
          k,
          allowed,
          allowed == null ? 0 : allowed.remaining(),
          options == null || options.useScreen,
          options == null ? 0 : options.logZTolerance,
          idBuffer,
          longs,
          ints,
          idsPosition,
          logits,
          logZ);
    } finally {
      handle.release();
    }
  }

  /**
   * One step of a beam search: adds to each beam's score the log-probability of each allowed id, and finds the
   * {@code count} largest sums over all beams, best first. Of equal sums the lower beam comes first. The call says
   * nothing about the end of a sentence or how many ids may continue one beam: with {@code 2 * beams} results, enough
   * go on even if each beam ends.
   *
   * @param hidden [beams, cols]
   * @param scores [beams]: sums of log-probabilities; NEGATIVE_INFINITY for a beam that has none yet
   * @param count 1 to 1024, usually 2 * beams
   * @param options null for all ids and an exact result; a tolerance of log_z may change the order of ids of different
   *     beams whose sums are closer
   * @param parents room for [count]: the beam that each id continues
   * @param ids room for [count]
   * @param bestScores room for [count]; may be the array of scores
   * @throws TiedException as topK; NOT_FINITE also if a score is NaN or POSITIVE_INFINITY
   */
  public void beamStep(
      FloatBuffer hidden,
      double[] scores,
      int beams,
      int count,
      @Nullable TopKOptions options,
      int[] parents,
      long[] ids,
      double[] bestScores) {
    input(hidden, beams);
    int start = Buffers.start(hidden, "hidden");
    Buffers.checkRoom(ids.length, 1, count, "ids");
    beamStep(hidden, Buffers.arrayOf(hidden), start, scores, beams, count, options, parents, ids, null, bestScores);
  }

  /** See {@link #beamStep(FloatBuffer, double[], int, int, TopKOptions, int[], long[], double[])}. */
  public void beamStep(
      FloatBuffer hidden,
      double[] scores,
      int beams,
      int count,
      @Nullable TopKOptions options,
      int[] parents,
      int[] ids,
      double[] bestScores) {
    input(hidden, beams);
    int start = Buffers.start(hidden, "hidden");
    Buffers.checkRoom(ids.length, 1, count, "ids");
    beamStep(hidden, Buffers.arrayOf(hidden), start, scores, beams, count, options, parents, null, ids, bestScores);
  }

  private void beamStep(
      FloatBuffer buffer,
      float @Nullable [] array,
      int position,
      double[] scores,
      int beams,
      int count,
      @Nullable TopKOptions options,
      int[] parents,
      long @Nullable [] longs,
      int @Nullable [] ints,
      double[] bestScores) {
    Buffers.checkRoom(scores.length, 1, beams, "scores");
    Buffers.checkRoom(parents.length, 1, count, "parents");
    Buffers.checkRoom(bestScores.length, 1, count, "bestScores");
    ByteBuffer allowed = options == null ? null : options.allowed;
    long pointer = handle.acquire();
    try {
      nativeBeamStep(
          pointer,
          array == null ? buffer : null,
          array,
          position,
          beams,
          beams * cols,
          scores,
          count,
          allowed,
          allowed == null ? 0 : allowed.remaining(),
          options == null || options.useScreen,
          options == null ? 0 : options.logZTolerance,
          parents,
          longs,
          ints,
          bestScores);
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
  public void run(Map<String, TiedTensor> inputs, Map<String, @Nullable TiedTensor> outputs) {
    run(null, inputs, outputs);
  }

  /** Runs the entry point of that name; selectors are then optional. */
  public void run(@Nullable String entryPoint, Map<String, TiedTensor> inputs, Map<String, @Nullable TiedTensor> outputs) {
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

  @Override
  public String toString() {
    return "TiedSession[embeddingCols=" + embeddingCols + ", cols=" + cols + ", vocabulary=" + vocabulary + "]";
  }

  private void input(FloatBuffer hidden, int tokens) {
    Buffers.checkRoom(hidden.remaining(), tokens, cols, "hidden");
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

  // Of each pair or triple of a buffer and arrays, one is not null, and the position counts its elements.

  private static native void nativeEmbed(
      long session,
      @Nullable Buffer idBuffer,
      boolean bufferOfInts,
      long @Nullable [] longs,
      int @Nullable [] ints,
      int idsPosition,
      int count,
      @Nullable FloatBuffer buffer,
      float @Nullable [] array,
      int position,
      int floats);

  private static native void nativeLogits(
      long session,
      @Nullable FloatBuffer hidden,
      float @Nullable [] array,
      int hiddenPosition,
      int tokens,
      int floats,
      FloatBuffer logits,
      int position,
      int remaining);

  private static native long nativeArgmax(
      long session, @Nullable FloatBuffer hidden, float @Nullable [] array, int position, int floats);

  private static native void nativeTopK(
      long session,
      @Nullable FloatBuffer hidden,
      float @Nullable [] array,
      int position,
      int tokens,
      int floats,
      int k,
      @Nullable ByteBuffer allowed,
      int allowedBytes,
      boolean useScreen,
      double logZTolerance,
      @Nullable IntBuffer idBuffer,
      long @Nullable [] longs,
      int @Nullable [] ints,
      int idsPosition,
      float @Nullable [] logits,
      double @Nullable [] logZ);

  private static native void nativeBeamStep(
      long session,
      @Nullable FloatBuffer hidden,
      float @Nullable [] array,
      int position,
      int beams,
      int floats,
      double[] scores,
      int count,
      @Nullable ByteBuffer allowed,
      int allowedBytes,
      boolean useScreen,
      double logZTolerance,
      int[] parents,
      long @Nullable [] longs,
      int @Nullable [] ints,
      double[] bestScores);

  static native void nativeRun(
      long session,
      byte @Nullable [] entryPoint,
      byte[][] inputNames,
      @Nullable Buffer[] inputs,
      int[] inputPositions,
      int[] inputRemaining,
      int[] inputTypes,
      long[][] inputShapes,
      byte[][] outputNames,
      @Nullable Buffer[] outputs,
      int[] outputPositions,
      int[] outputRemaining,
      int[] outputTypes,
      long[][] outputShapes);
}
