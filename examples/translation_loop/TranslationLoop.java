import com.sun.management.ThreadMXBean;
import dev.tied.TiedModel;
import dev.tied.TiedSession;
import dev.tied.TiedTensor;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * The decode loop of a translation app in two versions: one written as for ONNX Runtime, one with tied's typed calls.
 * Both must find the same tokens; they differ in time and garbage.
 *
 * <p>A shift by one column replaces the decoder between the embedding and the lm_head.
 *
 * <pre>java -cp jni/target/tied-0.1.0.jar examples/translation_loop/TranslationLoop.java model.tied [STEPS]</pre>
 */
public final class TranslationLoop {
  private static final int START = 2;

  private final TiedSession session;
  private final int vocabulary;
  private final int cols;

  private TranslationLoop(TiedModel model, TiedSession session) {
    this.session = session;
    this.vocabulary = model.vocabulary();
    this.cols = model.cols();
  }

  public static void main(String[] args) {
    if (args.length < 1 || args.length > 2) {
      System.err.println("usage: TranslationLoop MODEL.tied [STEPS]");
      System.exit(2);
    }
    int steps = args.length == 2 ? Integer.parseInt(args[1]) : 32;
    try (TiedModel model = TiedModel.open(args[0]);
        TiedSession session = model.newSession()) {
      TranslationLoop loop = new TranslationLoop(model, session);
      // The first round reads the table from disk and compiles the loops.
      loop.likeOnnxRuntime(steps);
      loop.inOwnStyle(steps);
      long[] first = measure("ONNX Runtime's style", steps, () -> loop.likeOnnxRuntime(steps));
      long[] second = measure("tied's style", steps, () -> loop.inOwnStyle(steps));
      if (!Arrays.equals(first, second)) {
        System.err.println("the tokens differ: " + Arrays.toString(first) + " and " + Arrays.toString(second));
        System.exit(1);
      }
      System.out.println("the same " + steps + " tokens: " + Arrays.toString(Arrays.copyOf(first, Math.min(8, steps))));
    }
  }

  /** Passes all inputs in each run, including unused ones, copies the logits into an array and scans it. */
  private long[] likeOnnxRuntime(int steps) {
    long[] tokens = new long[steps];
    long token = START;
    for (int step = 0; step < steps; ++step) {
      Map<String, TiedTensor> inputs = new HashMap<>();
      inputs.put("input_ids", TiedTensor.ofIds(new long[] {token}, 1, 1));
      inputs.put("pre_logits", TiedTensor.of(floats(cols), 1, 1, cols)); // a dummy
      inputs.put("use_lm_head", TiedTensor.of(false));
      Map<String, TiedTensor> outputs = new HashMap<>();
      outputs.put("embed_matrix", null);
      session.run(inputs, outputs);

      FloatBuffer hidden = floats(cols);
      decode(outputs.get("embed_matrix").floats(), hidden);

      inputs.put("input_ids", TiedTensor.ofIds(new long[] {0}, 1, 1)); // a dummy
      inputs.put("pre_logits", TiedTensor.of(hidden, 1, 1, cols));
      inputs.put("use_lm_head", TiedTensor.of(true));
      outputs = new HashMap<>();
      outputs.put("logits", null);
      session.run(inputs, outputs);
      float[][][] logits = new float[1][1][vocabulary];
      outputs.get("logits").floats().get(logits[0][0]);
      token = largest(logits[0][0]);
      tokens[step] = token;
    }
    return tokens;
  }

  /** Allocates buffers once; only the token is returned. */
  private long[] inOwnStyle(int steps) {
    long[] tokens = new long[steps];
    long[] token = {START};
    FloatBuffer embedding = floats(cols);
    FloatBuffer hidden = floats(cols);
    for (int step = 0; step < steps; ++step) {
      session.embed(token, embedding);
      decode(embedding, hidden);
      session.topK(hidden, 1, 1, token, null);
      tokens[step] = token[0];
    }
    return tokens;
  }

  private void decode(FloatBuffer embedding, FloatBuffer hidden) {
    for (int c = 0; c < cols; ++c) {
      hidden.put(c, embedding.get((c + 1) % cols));
    }
  }

  private static long largest(float[] logits) {
    int best = 0;
    for (int i = 1; i < logits.length; ++i) {
      if (logits[i] > logits[best]) {
        best = i;
      }
    }
    return best;
  }

  private static FloatBuffer floats(int count) {
    return ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  private interface Loop {
    long[] run();
  }

  private static long[] measure(String what, int steps, Loop loop) {
    ThreadMXBean meter = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long thread = Thread.currentThread().getId();
    long bytes = meter.getThreadAllocatedBytes(thread);
    long start = System.nanoTime();
    long[] tokens = loop.run();
    long nanoseconds = System.nanoTime() - start;
    bytes = meter.getThreadAllocatedBytes(thread) - bytes;
    System.out.printf(
        "%-22s %8.3f ms and %,12d bytes of garbage per token%n", what, nanoseconds * 1e-6 / steps, bytes / steps);
    return tokens;
  }
}
