package dev.tied;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TiedSessionTest {
  private static final int TOKENS = 3;
  private TiedModel model;
  private TiedSession session;

  @BeforeEach
  void open() {
    model = SmallModel.open("small.tied");
    session = model.newSession(2, true);
  }

  @AfterEach
  void close() {
    session.close();
    model.close();
  }

  private static void assertStatus(TiedException.Status status, Executable call) {
    assertEquals(status, assertThrows(TiedException.class, call).status());
  }

  @Test
  void embedsArraysAndBuffersInPlace() {
    long[] ids = {3, 18, 0, 3};
    FloatBuffer embeddings = SmallModel.floats(2 + 4 * SmallModel.COLS);
    embeddings.position(2);
    session.embed(ids, embeddings);
    assertEquals(2, embeddings.position());
    assertArrayEquals(SmallModel.embed(ids), SmallModel.read(embeddings));

    LongBuffer buffer = SmallModel.longs(9, 3, 18, 0, 3);
    buffer.position(1);
    FloatBuffer again = SmallModel.floats(4 * SmallModel.COLS);
    session.embed(buffer, again);
    assertArrayEquals(SmallModel.embed(ids), SmallModel.read(again));

    // More than fit on the native stack.
    long[] many = new long[1000];
    Arrays.setAll(many, i -> i % SmallModel.ROWS);
    FloatBuffer all = SmallModel.floats(many.length * SmallModel.COLS);
    session.embed(many, all);
    assertArrayEquals(SmallModel.embed(many), SmallModel.read(all));
  }

  private static IntBuffer ints(boolean direct, int... values) {
    IntBuffer buffer =
        direct
            ? ByteBuffer.allocateDirect(4 * values.length + 4).order(ByteOrder.nativeOrder()).asIntBuffer()
            : IntBuffer.allocate(values.length + 1);
    ((Buffer) buffer).position(1);
    buffer.duplicate().put(values);
    return buffer;
  }

  /** A buffer on the Java heap whose position, and whose place in its array, are not 0. */
  private static FloatBuffer heap(float... values) {
    FloatBuffer whole = FloatBuffer.allocate(values.length + 3);
    whole.position(2);
    FloatBuffer slice = whole.slice();
    slice.position(1);
    slice.duplicate().put(values);
    return slice;
  }

  @ParameterizedTest
  @ValueSource(ints = {4, 1000})
  void embedsIdsAndEmbeddingsOfEveryType(int count) {
    long[] ids = new long[count];
    Arrays.setAll(ids, i -> (7 * i + 3) % SmallModel.ROWS);
    int[] narrow = Arrays.stream(ids).mapToInt(id -> (int) id).toArray();
    float[] expected = SmallModel.embed(ids);
    List<Consumer<FloatBuffer>> ways = new ArrayList<>();
    ways.add(to -> session.embed(ids, to));
    ways.add(to -> session.embed(narrow, to));
    ways.add(to -> session.embed(SmallModel.longs(ids), to));
    ways.add(to -> session.embed(LongBuffer.wrap(ids), to));
    ways.add(to -> session.embed(ints(true, narrow), to));
    ways.add(to -> session.embed(ints(false, narrow), to));
    for (Consumer<FloatBuffer> way : ways) {
      FloatBuffer direct = SmallModel.floats(expected.length);
      way.accept(direct);
      assertArrayEquals(expected, SmallModel.read(direct));
      FloatBuffer heap = heap(new float[expected.length]);
      way.accept(heap);
      assertArrayEquals(expected, SmallModel.read(heap));
      assertEquals(1, heap.position());
    }
    float[] array = new float[expected.length + 1];
    array[expected.length] = -7;
    session.embed(ids, array);
    assertArrayEquals(expected, Arrays.copyOf(array, expected.length));
    session.embed(new int[] {1}, array);
    assertArrayEquals(SmallModel.embed(1), Arrays.copyOf(array, SmallModel.COLS));
    assertEquals(-7, array[expected.length]);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 40})
  void takesHiddenStatesAndGivesIdsOfEveryType(int tokens) {
    int k = 4;
    float[] states = SmallModel.hidden(tokens);
    float[] logits = SmallModel.logits(states);
    long[] best = new long[tokens * k];
    long[] first = new long[tokens];
    for (int t = 0; t < tokens; ++t) {
      System.arraycopy(SmallModel.best(logits, t, k, row -> true), 0, best, t * k, k);
      first[t] = best[t * k];
    }
    long[] longs = new long[tokens * k];
    int[] narrow = new int[tokens * k];
    for (FloatBuffer hidden : Arrays.asList(SmallModel.floats(states), heap(states))) {
      session.topK(hidden, tokens, k, longs, null);
      assertArrayEquals(best, longs);
      session.topK(hidden, tokens, k, narrow, null);
      assertArrayEquals(best, widen(narrow));
      for (boolean direct : new boolean[] {false, true}) {
        IntBuffer ids = ints(direct, new int[tokens * k]);
        session.topK(hidden, tokens, k, null, ids, null, null);
        ids.duplicate().get(narrow);
        assertArrayEquals(best, widen(narrow));
      }
      long[] argmax = new long[tokens];
      session.argmax(hidden, tokens, argmax);
      assertArrayEquals(first, argmax);
      int[] narrowArgmax = new int[tokens];
      session.argmax(hidden, tokens, narrowArgmax);
      assertArrayEquals(first, widen(narrowArgmax));
      assertEquals(first[0], session.argmax(hidden));
      FloatBuffer written = SmallModel.floats(logits.length);
      session.logits(hidden, tokens, written);
      assertArrayEquals(logits, SmallModel.read(written));
    }
    Arrays.fill(longs, -1);
    session.topK(states, tokens, k, longs, null);
    assertArrayEquals(best, longs);
    Arrays.fill(narrow, -1);
    session.topK(states, tokens, k, narrow, null);
    assertArrayEquals(best, widen(narrow));
    assertEquals(first[0], session.argmax(states));
  }

  @ParameterizedTest
  @ValueSource(strings = {"small.tied", "screened.tied"})
  void aBeamStepFindsTheBestSumsOfAllBeams(String file) {
    int beams = 3;
    int count = 6;
    float[] states = SmallModel.hidden(beams);
    float[] logits = SmallModel.logits(states);
    double[] scores = {-1.25, -0.5, -3};
    double[] sums = new double[logits.length];
    for (int beam = 0; beam < beams; ++beam) {
      double sum = 0;
      for (int row = 0; row < SmallModel.ROWS; ++row) {
        sum += Math.exp(logits[beam * SmallModel.ROWS + row]);
      }
      for (int row = 0; row < SmallModel.ROWS; ++row) {
        int i = beam * SmallModel.ROWS + row;
        sums[i] = scores[beam] + (logits[i] - Math.log(sum));
      }
    }
    int[] best =
        IntStream.range(0, sums.length)
            .boxed()
            .sorted((a, b) -> Double.compare(sums[b], sums[a]))
            .mapToInt(Integer::intValue)
            .limit(count)
            .toArray();
    try (TiedModel other = SmallModel.open(file);
        TiedSession beam = other.newSession(1, true)) {
      int[] parents = new int[count];
      long[] longs = new long[count];
      int[] ints = new int[count];
      for (FloatBuffer hidden : Arrays.asList(SmallModel.floats(states), heap(states))) {
        double[] inPlace = Arrays.copyOf(scores, count);
        beam.beamStep(hidden, inPlace, beams, count, null, parents, longs, inPlace);
        double[] separate = new double[count];
        beam.beamStep(hidden, scores, beams, count, TopKOptions.defaults(), parents, ints, separate);
        assertArrayEquals(inPlace, separate);
        assertArrayEquals(longs, widen(ints));
        for (int i = 0; i < count; ++i) {
          assertEquals(best[i], parents[i] * SmallModel.ROWS + ints[i]);
          assertEquals(sums[best[i]], separate[i], 1e-12);
        }
      }
    }
  }

  private static long[] widen(int[] ids) {
    return Arrays.stream(ids).asLongStream().toArray();
  }

  @Test
  void objectsDescribeThemselves() {
    assertEquals("TiedModel[rows=19, cols=6, vocabulary=19]", model.toString());
    assertEquals("TiedSession[embeddingCols=6, cols=6, vocabulary=19]", session.toString());
    assertEquals("int64 [1, 2]", TiedTensor.ofIds(new long[2], 1, 2).toString());
    TiedTensor ids = TiedTensor.ofIds(new int[] {5, 7}, 2);
    assertEquals("int32 [2]", ids.toString());
    assertEquals(7, ids.ints().get(1));
    assertThrows(IllegalStateException.class, ids::longs);
    assertThrows(IllegalStateException.class, () -> TiedTensor.of(true).ints());
    TopKOptions options = TopKOptions.defaults().withAllowed(ByteBuffer.allocateDirect(3)).withScreen(false);
    assertEquals("TopKOptions[allowed=3 bytes, useScreen=false, logZTolerance=0.5]",
        options.withLogZTolerance(0.5).toString());
    assertEquals("TopKOptions[allowed=all, useScreen=true, logZTolerance=0.0]", TopKOptions.defaults().toString());
  }

  @Test
  void aModelWithHalfOfTheIdsSpeaksOfAllOfThem() {
    try (TiedModel kept = SmallModel.open("kept.tied"); TiedSession half = kept.newSession(1, true)) {
      assertEquals(10, kept.rows());
      assertEquals(SmallModel.ROWS, kept.vocabulary());
      assertEquals(SmallModel.ROWS, model.vocabulary());
      FloatBuffer embeddings = SmallModel.floats(2 * SmallModel.COLS);
      half.embed(new long[] {18, 4}, embeddings);
      assertArrayEquals(SmallModel.embed(18, 4), SmallModel.read(embeddings));
      assertStatus(TiedException.Status.OUT_OF_RANGE, () -> half.embed(new long[] {18, 5}, embeddings));

      float[] hidden = SmallModel.hidden(TOKENS);
      float[] expected = SmallModel.logits(hidden);
      FloatBuffer logits = SmallModel.floats(TOKENS * SmallModel.ROWS);
      half.logits(SmallModel.floats(hidden), TOKENS, logits);
      long[] ids = new long[TOKENS * 10];
      half.topK(SmallModel.floats(hidden), TOKENS, 10, ids, null);
      for (int t = 0; t < TOKENS; ++t) {
        long[] best = Arrays.copyOfRange(ids, t * 10, t * 10 + 10);
        assertArrayEquals(SmallModel.best(expected, t, 10, id -> id % 2 == 0), best);
      }
      for (int i = 0; i < expected.length; ++i) {
        if (i % SmallModel.ROWS % 2 != 0) {
          expected[i] = Float.NEGATIVE_INFINITY;
        }
      }
      assertArrayEquals(expected, SmallModel.read(logits));
    }
  }

  @Test
  void logitsAndArgmax() {
    float[] hidden = SmallModel.hidden(TOKENS);
    FloatBuffer logits = SmallModel.floats(TOKENS * SmallModel.ROWS);
    session.logits(SmallModel.floats(hidden), TOKENS, logits);
    float[] expected = SmallModel.logits(hidden);
    assertArrayEquals(expected, SmallModel.read(logits));
    FloatBuffer buffer = SmallModel.floats(hidden);
    for (int t = 0; t < TOKENS; ++t) {
      buffer.position(t * SmallModel.COLS);
      assertEquals(SmallModel.best(expected, t, 1, row -> true)[0], session.argmax(buffer));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"small.tied", "screened.tied"})
  void topKOfAllAndOfSomeRows(String file) {
    float[] hidden = SmallModel.hidden(TOKENS);
    float[] logits = SmallModel.logits(hidden);
    ByteBuffer allowed = ByteBuffer.allocateDirect(1 + (SmallModel.ROWS + 7) / 8).order(ByteOrder.nativeOrder());
    for (int row = 0; row < SmallModel.ROWS; row += 2) {
      int at = 1 + row / 8;
      allowed.put(at, (byte) (allowed.get(at) | 1 << row % 8));
    }
    allowed.position(1);
    try (TiedModel other = SmallModel.open(file);
        TiedSession topK = other.newSession(1, true)) {
      for (int k : new int[] {1, 2}) {
        long[] ids = new long[TOKENS * k];
        float[] values = new float[TOKENS * k];
        topK.topK(SmallModel.floats(hidden), TOKENS, k, ids, values);
        assertBest(logits, k, ids, values, false);
        double[] logZ = new double[TOKENS];
        topK.topK(SmallModel.floats(hidden), TOKENS, k, TopKOptions.defaults().withAllowed(allowed), ids, values, logZ);
        assertBest(logits, k, ids, values, true);
        for (int t = 0; t < TOKENS; ++t) {
          double sum = 0;
          for (int row = 0; row < SmallModel.ROWS; row += 2) {
            sum += Math.exp(logits[t * SmallModel.ROWS + row]);
          }
          assertEquals(Math.log(sum), logZ[t], 1e-12);
        }
      }
    }
  }

  private static void assertBest(float[] logits, int k, long[] ids, float[] values, boolean even) {
    for (int t = 0; t < TOKENS; ++t) {
      long[] best = SmallModel.best(logits, t, k, row -> !even || row % 2 == 0);
      assertArrayEquals(best, Arrays.copyOfRange(ids, t * k, t * k + k));
      for (int i = 0; i < k; ++i) {
        assertEquals(logits[t * SmallModel.ROWS + (int) best[i]], values[t * k + i]);
      }
    }
  }

  @Test
  void runsWithTheNamesOfTheGraph() {
    Map<String, TiedTensor> inputs = new HashMap<>();
    inputs.put("input_ids", TiedTensor.ofIds(new long[] {3, 18}, 1, 2));
    inputs.put("pre_logits", TiedTensor.of(SmallModel.floats(SmallModel.hidden(1)), 1, 1, SmallModel.COLS));
    inputs.put("use_embedding", TiedTensor.of(true));
    Map<String, TiedTensor> outputs = new HashMap<>();
    outputs.put("embeddings", null);
    outputs.put("logits", null);
    session.run(inputs, outputs);
    assertArrayEquals(new long[] {1, 2, SmallModel.COLS}, outputs.get("embeddings").shape());
    assertArrayEquals(SmallModel.embed(3, 18), SmallModel.read(outputs.get("embeddings").floats()));
    assertArrayEquals(new long[] {0}, outputs.get("logits").shape());

    // The other way, into a buffer of the caller's.
    FloatBuffer logits = SmallModel.floats(SmallModel.ROWS);
    inputs.put("use_embedding", TiedTensor.of(false));
    session.run(inputs, new HashMap<>(Collections.singletonMap("logits", TiedTensor.of(logits, 1, 1, SmallModel.ROWS))));
    assertArrayEquals(SmallModel.logits(SmallModel.hidden(1)), SmallModel.read(logits));
    session.run("head", inputs, new HashMap<>(Collections.singletonMap("logits", null)));
  }

  @Test
  void theEmbeddingAndTheHeadMayHaveTablesOfTheirOwn() {
    try (TiedModel untied = SmallModel.open("untied.tied"); TiedSession own = untied.newSession(1, true)) {
      assertEquals(1, untied.embeddingCols());
      assertEquals(SmallModel.COLS, untied.cols());
      assertEquals(SmallModel.ROWS, untied.vocabulary());
      FloatBuffer embeddings = SmallModel.floats(2);
      own.embed(new long[] {3, 0}, embeddings);
      assertArrayEquals(new float[] {2, 0.5f}, SmallModel.read(embeddings));
      assertThrows(IllegalArgumentException.class, () -> own.argmax(embeddings));
      FloatBuffer logits = SmallModel.floats(SmallModel.ROWS);
      own.logits(SmallModel.floats(SmallModel.hidden(1)), 1, logits);
      assertArrayEquals(SmallModel.logits(SmallModel.hidden(1)), SmallModel.read(logits));
    }
  }

  @Test
  void saysWhatTheModelLacks() {
    FloatBuffer hidden = SmallModel.floats(SmallModel.hidden(1));
    try (TiedModel half = SmallModel.open("no_head.tied"); TiedSession own = half.newSession(1, true)) {
      assertEquals(SmallModel.COLS, half.cols());
      FloatBuffer embeddings = SmallModel.floats(SmallModel.COLS);
      own.embed(new long[] {3}, embeddings);
      assertArrayEquals(SmallModel.embed(3), SmallModel.read(embeddings));
      TiedException none = assertThrows(TiedException.class, () -> own.argmax(hidden));
      assertTrue(none.getMessage().contains("the model has no lm_head"), none.getMessage());
    }
    try (TiedModel half = SmallModel.open("no_embedding.tied"); TiedSession own = half.newSession(1, true)) {
      assertEquals(SmallModel.COLS, half.embeddingCols());
      FloatBuffer logits = SmallModel.floats(SmallModel.ROWS);
      own.logits(hidden, 1, logits);
      assertArrayEquals(SmallModel.logits(SmallModel.hidden(1)), SmallModel.read(logits));
      FloatBuffer embeddings = SmallModel.floats(SmallModel.COLS);
      TiedException none = assertThrows(TiedException.class, () -> own.embed(new long[] {3}, embeddings));
      assertTrue(none.getMessage().contains("the model has no embedding"), none.getMessage());
    }
  }

  @Test
  void runsWithNamesOfAnyCharacters() {
    try (TiedModel untied = SmallModel.open("untied.tied"); TiedSession own = untied.newSession(1, true)) {
      Map<String, TiedTensor> inputs = new HashMap<>();
      inputs.put("pre_logits", TiedTensor.of(SmallModel.floats(SmallModel.hidden(1)), 1, 1, SmallModel.COLS));
      Map<String, TiedTensor> outputs = new HashMap<>(Collections.singletonMap("logits\uD83D\uDE00", null));
      own.run(untied.entryPoints().get(1), inputs, outputs);
      FloatBuffer logits = outputs.get("logits\uD83D\uDE00").floats();
      assertArrayEquals(SmallModel.logits(SmallModel.hidden(1)), SmallModel.read(logits));
      assertStatus(TiedException.Status.INVALID_ARGUMENT, () -> own.run("head\0", inputs, outputs));
    }
  }

  @Test
  void runRefusesWhatDoesNotFit() {
    Map<String, TiedTensor> inputs = new HashMap<>();
    inputs.put("use_embedding", TiedTensor.of(true));
    Map<String, TiedTensor> outputs = new HashMap<>(Collections.singletonMap("embeddings", null));
    assertStatus(TiedException.Status.INVALID_ARGUMENT, () -> session.run(inputs, outputs));
    inputs.put("input_ids", TiedTensor.ofIds(new long[] {19}, 1, 1));
    assertStatus(TiedException.Status.OUT_OF_RANGE, () -> session.run(inputs, outputs));
    inputs.put("input_ids", TiedTensor.ofIds(new long[] {18}, 1, 1));
    assertStatus(TiedException.Status.NOT_FOUND, () -> session.run("nowhere", inputs, outputs));
    outputs.put("nothing", null);
    assertStatus(TiedException.Status.NOT_FOUND, () -> session.run(inputs, outputs));
    outputs.remove("nothing");
    outputs.put("embeddings", TiedTensor.ofIds(new long[6], 6));
    assertThrows(IllegalArgumentException.class, () -> session.run(inputs, outputs));
    outputs.put("embeddings", TiedTensor.of(SmallModel.floats(5), 5));
    assertStatus(TiedException.Status.BUFFER_TOO_SMALL, () -> session.run(inputs, outputs));
    outputs.put("embeddings", TiedTensor.of(SmallModel.floats(6).asReadOnlyBuffer(), 6));
    assertThrows(IllegalArgumentException.class, () -> session.run(inputs, outputs));
    inputs.put("input_ids", TiedTensor.ofIds(new long[] {18}, 1, 1, 1, 1, 1, 1, 1, 1, 1));
    outputs.put("embeddings", null);
    assertStatus(TiedException.Status.INVALID_ARGUMENT, () -> session.run(inputs, outputs));
    inputs.put("input_ids", null);
    assertThrows(NullPointerException.class, () -> session.run(inputs, outputs));
  }

  @Test
  void refusesBuffersThatCannotBeUsedInPlace() {
    FloatBuffer hidden = SmallModel.floats(SmallModel.hidden(1));
    FloatBuffer logits = SmallModel.floats(SmallModel.ROWS);
    ByteOrder other = ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN;
    FloatBuffer wrongOrder = ByteBuffer.allocateDirect(4 * SmallModel.ROWS).order(other).asFloatBuffer();
    List<Executable> refused = new ArrayList<>();
    refused.add(() -> session.logits(FloatBuffer.wrap(SmallModel.hidden(1)).asReadOnlyBuffer(), 1, logits));
    refused.add(() -> session.argmax(ByteBuffer.allocate(4 * SmallModel.COLS).asFloatBuffer()));
    refused.add(() -> session.argmax(new float[SmallModel.COLS - 1]));
    refused.add(() -> session.argmax(hidden, 1, new int[0]));
    refused.add(() -> session.topK(new float[2 * SmallModel.COLS - 1], 2, 1, new int[2], null));
    refused.add(() -> session.topK(hidden, 1, 2, null, IntBuffer.allocate(1), null, null));
    refused.add(() -> session.topK(hidden, 1, 2, null, IntBuffer.allocate(2).asReadOnlyBuffer(), null, null));
    refused.add(() -> session.embed(new int[] {1}, new float[SmallModel.COLS - 1]));
    refused.add(() -> session.embed(LongBuffer.allocate(1).asReadOnlyBuffer(), SmallModel.floats(SmallModel.COLS)));
    refused.add(() -> session.logits(hidden, 1, FloatBuffer.allocate(SmallModel.ROWS)));
    refused.add(() -> session.logits(wrongOrder, 1, logits));
    refused.add(() -> session.logits(hidden, 1, wrongOrder));
    refused.add(() -> session.logits(hidden, 1, logits.asReadOnlyBuffer()));
    refused.add(() -> session.logits(hidden, 2, logits));
    refused.add(() -> session.logits(hidden, -1, logits));
    refused.add(() -> session.logits(hidden, 1, SmallModel.floats(SmallModel.ROWS - 1)));
    refused.add(() -> session.embed(new long[] {1}, SmallModel.floats(SmallModel.COLS - 1)));
    refused.add(() -> session.argmax(SmallModel.floats(SmallModel.COLS - 1)));
    refused.add(() -> session.topK(hidden, 1, 2, new long[1], null));
    refused.add(() -> session.topK(hidden, 1, 2, new long[2], new float[1]));
    refused.add(() -> session.topK(hidden, 1, 2, null, new long[2], null, new double[0]));
    refused.add(() -> session.topK(hidden, 1, -1, new long[2], null));
    refused.add(() -> TopKOptions.defaults().withAllowed(ByteBuffer.allocate(3)));
    refused.add(() -> TiedTensor.of(FloatBuffer.allocate(1), 1));
    double[] score = {0};
    refused.add(() -> session.beamStep(hidden, new double[0], 1, 1, null, new int[1], new int[1], score));
    refused.add(() -> session.beamStep(hidden, score, 1, 1, null, new int[0], new int[1], score));
    refused.add(() -> session.beamStep(hidden, score, 1, 1, null, new int[1], new long[0], score));
    refused.add(() -> session.beamStep(hidden, score, 1, 2, null, new int[2], new int[2], score));
    refused.add(() -> session.beamStep(hidden, score, 2, 1, null, new int[1], new int[1], score));
    refused.add(() -> session.beamStep(hidden, score, -1, 1, null, new int[1], new int[1], score));
    refused.add(() -> session.beamStep(hidden, score, 1, -1, null, new int[1], new int[1], score));
    for (Executable call : refused) {
      assertThrows(IllegalArgumentException.class, call);
    }
    // A read-only input is fine.
    session.logits(hidden.asReadOnlyBuffer(), 1, logits);
    assertThrows(NullPointerException.class, () -> session.logits(null, 1, logits));
    assertThrows(NullPointerException.class, () -> session.embed((long[]) null, logits));
    assertThrows(NullPointerException.class, () -> session.topK(hidden, 1, 1, (long[]) null, null));
  }

  /** Bytes in native order that begin at an odd address. */
  private static ByteBuffer misaligned(int length) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(length + 1);
    bytes.position(1);
    return bytes.slice().order(ByteOrder.nativeOrder());
  }

  @Test
  void refusesViewsThatAreNotAlignedToTheirElements() {
    FloatBuffer hidden = SmallModel.floats(SmallModel.hidden(1));
    FloatBuffer odd = misaligned(4 * SmallModel.ROWS).asFloatBuffer();
    LongBuffer oddIds = misaligned(8).asLongBuffer();
    FloatBuffer logits = SmallModel.floats(SmallModel.ROWS);
    List<Executable> refused = new ArrayList<>();
    refused.add(() -> session.embed(new long[] {1}, odd));
    refused.add(() -> session.embed(oddIds, logits));
    refused.add(() -> session.logits(odd, 1, logits));
    refused.add(() -> session.logits(hidden, 1, odd));
    refused.add(() -> session.argmax(odd));
    refused.add(() -> session.topK(odd, 1, 1, new long[1], null));
    Map<String, TiedTensor> inputs = new HashMap<>();
    inputs.put("use_embedding", TiedTensor.of(true));
    inputs.put("input_ids", TiedTensor.of(oddIds, 1, 1));
    refused.add(() -> session.run(inputs, new HashMap<>(Collections.singletonMap("embeddings", null))));
    for (Executable call : refused) {
      assertStatus(TiedException.Status.INVALID_ARGUMENT, call);
    }
  }

  @Test
  void takesManyTensors() {
    Map<String, TiedTensor> inputs = new HashMap<>();
    for (int i = 0; i < 1000; ++i) {
      inputs.put("unknown" + i, TiedTensor.of(true));
    }
    assertStatus(TiedException.Status.NOT_FOUND, () -> session.run(inputs, new HashMap<>()));
  }

  @Test
  void nativeErrorsAreExceptionsWithStatusAndMessage() {
    FloatBuffer embeddings = SmallModel.floats(SmallModel.COLS);
    TiedException outOfRange =
        assertThrows(TiedException.class, () -> session.embed(new long[] {19}, embeddings));
    assertEquals(TiedException.Status.OUT_OF_RANGE, outOfRange.status());
    assertTrue(outOfRange.getMessage().contains("19"), outOfRange.getMessage());
    FloatBuffer hidden = SmallModel.floats(SmallModel.COLS);
    hidden.put(2, Float.NaN);
    assertStatus(TiedException.Status.NOT_FINITE, () -> session.argmax(hidden));
    FloatBuffer finite = SmallModel.floats(SmallModel.hidden(1));
    assertStatus(
        TiedException.Status.INVALID_ARGUMENT, () -> session.topK(finite, 1, 20, new long[20], null));
  }

  /** Runs heads over the large model until told to stop, and keeps what ends them. */
  private static final class Load extends Thread implements AutoCloseable {
    final TiedModel model = SmallModel.open("large.tied");
    final TiedSession session = model.newSession(1, true);
    final CountDownLatch started = new CountDownLatch(1);
    final AtomicReference<Throwable> end = new AtomicReference<>();

    static Load running() throws InterruptedException {
      Load load = new Load();
      load.start();
      load.started.await();
      return load;
    }

    @Override
    public void run() {
      int tokens = 64;
      FloatBuffer hidden = SmallModel.floats(tokens * model.cols());
      FloatBuffer logits = SmallModel.floats(tokens * model.rows());
      try {
        while (true) {
          started.countDown();
          session.logits(hidden, tokens, logits);
        }
      } catch (Throwable e) {
        end.set(e);
      }
    }

    @Override
    public void close() {
      session.close();
      model.close();
    }
  }

  @Test
  void cancelEndsACallAndTheSessionGoesOn() throws Exception {
    try (Load load = Load.running()) {
      while (load.isAlive()) {
        load.session.cancel();
        load.join(1);
      }
      assertEquals(TiedException.Status.CANCELLED, ((TiedException) load.end.get()).status());
      FloatBuffer hidden = SmallModel.floats(load.model.cols());
      assertEquals(4, load.session.argmax(hidden));
    }
  }

  @Test
  void aSecondThreadInOneSessionIsAnError() throws Exception {
    try (Load load = Load.running()) {
      FloatBuffer hidden = SmallModel.floats(load.model.cols());
      TiedException busy = null;
      for (int i = 0; i < 1000 && busy == null; ++i) {
        try {
          load.session.argmax(hidden);
        } catch (TiedException e) {
          busy = e;
        }
      }
      // The load may have met this thread's call instead.
      if (busy == null) {
        busy = (TiedException) load.end.get();
      }
      assertEquals(TiedException.Status.BUSY, busy.status());
      load.session.close();
      load.join();
    }
  }

  @Test
  void closingUnderACallEndsAfterIt() throws Exception {
    try (Load load = Load.running()) {
      load.session.close();
      load.join();
      assertTrue(load.end.get() instanceof IllegalStateException, String.valueOf(load.end.get()));
    }
  }

  @Test
  void aModelIsSharedByThreads() throws Exception {
    float[] hidden = SmallModel.hidden(1);
    float[] expected = SmallModel.logits(hidden);
    List<Thread> threads = new ArrayList<>();
    AtomicReference<Throwable> wrong = new AtomicReference<>();
    for (int i = 0; i < 4; ++i) {
      Thread thread =
          new Thread(
              () -> {
                FloatBuffer logits = SmallModel.floats(SmallModel.ROWS);
                for (int n = 0; n < 200; ++n) {
                  try (TiedSession own = model.newSession(1, true)) {
                    own.logits(SmallModel.floats(hidden), 1, logits);
                  }
                  assertArrayEquals(expected, SmallModel.read(logits));
                }
              });
      thread.setUncaughtExceptionHandler((t, e) -> wrong.set(e));
      threads.add(thread);
    }
    threads.forEach(Thread::start);
    for (Thread thread : threads) {
      thread.join();
    }
    assertEquals(null, wrong.get());
  }

  @Test
  void theNativeStyleMakesNoGarbage() {
    FloatBuffer hidden = SmallModel.floats(SmallModel.hidden(1));
    FloatBuffer embeddings = SmallModel.floats(SmallModel.COLS);
    FloatBuffer logits = SmallModel.floats(SmallModel.ROWS);
    long[] ids = {1};
    long[] best = new long[4];
    float[] bestLogits = new float[4];
    double[] logZ = new double[1];
    TopKOptions options = TopKOptions.defaults();
    float[] heap = SmallModel.hidden(1);
    FloatBuffer wrapped = FloatBuffer.wrap(heap);
    float[] heapEmbeddings = new float[4 * SmallModel.COLS];
    int[] narrow = new int[4];
    int[] parents = new int[1];
    Runnable step =
        () -> {
          session.embed(narrow, heapEmbeddings);
          session.argmax(wrapped);
          session.beamStep(wrapped, logZ, 1, 1, options, parents, narrow, logZ);
          session.topK(heap, 1, 4, options, narrow, bestLogits, logZ);
          session.embed(ids, embeddings);
          session.logits(hidden, 1, logits);
          session.argmax(hidden);
          session.topK(hidden, 1, 4, options, best, bestLogits, logZ);
        };
    com.sun.management.ThreadMXBean meter =
        (com.sun.management.ThreadMXBean) java.lang.management.ManagementFactory.getThreadMXBean();
    long self = Thread.currentThread().getId();
    for (int i = 0; i < 2000; ++i) {
      step.run();
    }
    long before = meter.getThreadAllocatedBytes(self);
    long measuring = meter.getThreadAllocatedBytes(self) - before;
    before = meter.getThreadAllocatedBytes(self);
    for (int i = 0; i < 1000; ++i) {
      step.run();
    }
    long allocated = meter.getThreadAllocatedBytes(self) - before - measuring;
    assertFalse(allocated > 1000, allocated + " bytes in 1000 steps");
  }
}
