import dev.tied.TiedModel;
import dev.tied.TiedSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/**
 * Measures the time of a call from Java. With a small model, the call through JNI and the C ABI takes most of it.
 *
 * <pre>java -cp jni/target/tied-0.1.0.jar benchmarks/CallOverhead.java build/test/jni/models/small.tied</pre>
 */
public final class CallOverhead {
  private static final int CALLS = 1_000_000;

  public static void main(String[] args) {
    try (TiedModel model = TiedModel.open(args[0]);
        TiedSession session = model.newSession(1, true)) {
      FloatBuffer hidden = floats(model.cols());
      FloatBuffer embedding = floats(model.cols());
      FloatBuffer logits = floats(model.vocabulary());
      long[] ids = {1};
      long[] best = new long[4];
      float[] bestLogits = new float[4];
      print("embed", () -> session.embed(ids, embedding));
      print("logits", () -> session.logits(hidden, 1, logits));
      print("argmax", () -> session.argmax(hidden));
      print("topK", () -> session.topK(hidden, 1, 4, best, bestLogits));
    }
  }

  private static FloatBuffer floats(int count) {
    return ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  private static void print(String what, Runnable call) {
    double best = Double.MAX_VALUE;
    for (int round = 0; round < 5; ++round) {
      long start = System.nanoTime();
      for (int i = 0; i < CALLS; ++i) {
        call.run();
      }
      best = Math.min(best, (double) (System.nanoTime() - start) / CALLS);
    }
    System.out.printf("%-8s %6.0f ns per call%n", what, best);
  }
}
