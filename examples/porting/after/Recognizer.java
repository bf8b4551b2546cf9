import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import dev.tied.TiedModel;
import dev.tied.TiedSession;
import dev.tied.TopKOptions;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Map;

/** Recognises speech with a greedy search. */
final class Recognizer implements AutoCloseable {
  private static final int END = 2;
  private static final int LONGEST = 32;

  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final Decoder decoder;
  private final TiedModel model;
  private final TiedSession head;
  private final TopKOptions options;

  Recognizer(String folder, int[] suppressed) throws OrtException {
    decoder = new Decoder(folder, "split/decoder.onnx");
    model = TiedModel.open(folder + "/split/model.tied");
    head = model.newSession();
    BitSet allowed = new BitSet();
    allowed.set(0, model.vocabulary());
    Arrays.stream(suppressed).forEach(allowed::clear);
    ByteBuffer bits = ByteBuffer.allocateDirect((model.vocabulary() + 7) / 8);
    bits.put(allowed.toByteArray()).rewind();
    options = TopKOptions.defaults().withAllowed(bits);
  }

  /** features: [1, mels, frames]. prompt: start, language, task, no timestamps. */
  int[] run(float[][][] features, int[] prompt) throws OrtException {
    try (OnnxTensor input = OnnxTensor.createTensor(environment, features)) {
      decoder.encode(Map.of("input_features", input), 1);
    }
    int[] tokens = Arrays.copyOf(prompt, LONGEST);
    for (int length = 1; length < LONGEST; ++length) {
      try (OnnxTensor embedding = embed(tokens[length - 1]);
          OnnxTensor hidden = decoder.step("inputs_embeds", embedding, "hidden")) {
        if (length >= prompt.length) {
          tokens[length] = best(hidden.getFloatBuffer());
        }
      }
      if (tokens[length] == END) {
        return Arrays.copyOf(tokens, length + 1);
      }
    }
    return tokens;
  }

  private OnnxTensor embed(int id) throws OrtException {
    FloatBuffer row = FloatBuffer.allocate(model.cols());
    head.embed(new int[] {id}, row.array());
    return OnnxTensor.createTensor(environment, row, new long[] {1, 1, model.cols()});
  }

  private int best(FloatBuffer hidden) {
    int[] best = {0};
    head.topK(hidden, 1, 1, options, best, null, null);
    return best[0];
  }

  @Override
  public void close() throws OrtException {
    decoder.close();
    head.close();
    model.close();
  }
}
