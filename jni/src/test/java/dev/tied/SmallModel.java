package dev.tied;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.file.Path;
import java.nio.file.Paths;

/** The model of tests/support/test_model.h, [19, 6], with an evaluation of its own: every sum is exact. */
final class SmallModel {
  static final int ROWS = 19;
  static final int COLS = 6;

  private SmallModel() {}

  static Path file(String name) {
    return Paths.get(System.getProperty("tied.models"), name);
  }

  static TiedModel open(String name, TiedModel.Option... options) {
    return TiedModel.open(file(name).toString(), options);
  }

  static float value(int row, int col, int cols) {
    int i = row * cols + col;
    return (float) ((i * 37L + i / 11) % 29) / 8 - 1.5f;
  }

  static float[] embed(long... ids) {
    float[] embeddings = new float[ids.length * COLS];
    for (int i = 0; i < embeddings.length; ++i) {
      embeddings[i] = value((int) ids[i / COLS], i % COLS, COLS) * 0.5f;
    }
    return embeddings;
  }

  static float[] hidden(int tokens) {
    float[] hidden = new float[tokens * COLS];
    for (int i = 0; i < hidden.length; ++i) {
      hidden[i] = (float) ((i * 13 + i / 7) % 17) / 8 - 1;
    }
    return hidden;
  }

  static float[] logits(float[] hidden) {
    int tokens = hidden.length / COLS;
    float[] logits = new float[tokens * ROWS];
    for (int i = 0; i < logits.length; ++i) {
      int row = i % ROWS;
      logits[i] = (float) (row % 5) / 8;
      for (int c = 0; c < COLS; ++c) {
        logits[i] += value(row, c, COLS) * hidden[i / ROWS * COLS + c];
      }
    }
    return logits;
  }

  /** The k best rows of a token's logits; of equal ones the lower first. */
  static long[] best(float[] logits, int token, int k, java.util.function.IntPredicate allowed) {
    return java.util.stream.IntStream.range(0, ROWS)
        .filter(allowed)
        .boxed()
        .sorted((a, b) -> Float.compare(logits[token * ROWS + b], logits[token * ROWS + a]))
        .mapToLong(Integer::longValue)
        .limit(k)
        .toArray();
  }

  static FloatBuffer floats(int count) {
    return ByteBuffer.allocateDirect(count * 4).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  static FloatBuffer floats(float... values) {
    FloatBuffer buffer = floats(values.length);
    buffer.put(values).flip();
    return buffer;
  }

  static LongBuffer longs(long... values) {
    LongBuffer buffer = ByteBuffer.allocateDirect(values.length * 8).order(ByteOrder.nativeOrder()).asLongBuffer();
    buffer.put(values).flip();
    return buffer;
  }

  /** The elements from the position to the limit. */
  static float[] read(FloatBuffer buffer) {
    float[] values = new float[buffer.remaining()];
    buffer.duplicate().get(values);
    return values;
  }
}
