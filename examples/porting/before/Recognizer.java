import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import java.util.Arrays;
import java.util.Map;

/** Recognises speech with a greedy search. */
final class Recognizer implements AutoCloseable {
  private static final int END = 2;
  private static final int LONGEST = 32;

  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final Decoder decoder;
  private final int[] suppressed;

  Recognizer(String folder, int[] suppressed) throws OrtException {
    decoder = new Decoder(folder, "decoder.onnx");
    this.suppressed = suppressed;
  }

  /** features: [1, mels, frames]. prompt: start, language, task, no timestamps. */
  int[] run(float[][][] features, int[] prompt) throws OrtException {
    try (OnnxTensor input = OnnxTensor.createTensor(environment, features)) {
      decoder.encode(Map.of("input_features", input), 1);
    }
    int[] tokens = Arrays.copyOf(prompt, LONGEST);
    for (int length = 1; length < LONGEST; ++length) {
      try (OnnxTensor id = OnnxTensor.createTensor(environment, new long[][] {{tokens[length - 1]}});
          OnnxTensor logits = decoder.step("input_ids", id, "logits")) {
        if (length >= prompt.length) {
          tokens[length] = best(((float[][][]) logits.getValue())[0][0]);
        }
      }
      if (tokens[length] == END) {
        return Arrays.copyOf(tokens, length + 1);
      }
    }
    return tokens;
  }

  private int best(float[] logits) {
    for (int id : suppressed) {
      logits[id] = Float.NEGATIVE_INFINITY;
    }
    int best = 0;
    for (int id = 1; id < logits.length; ++id) {
      best = logits[id] > logits[best] ? id : best;
    }
    return best;
  }

  @Override
  public void close() throws OrtException {
    decoder.close();
  }
}
