import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.FloatBuffer;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/** The encoder and the decoder, which ONNX Runtime runs before and after the port. */
final class Decoder implements AutoCloseable {
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final OrtSession encoder;
  private final OrtSession cacheInitializer;
  private final OrtSession decoder;
  /** The decoder's inputs: the mask and the keys and values of both attentions. */
  private Map<String, OnnxTensor> inputs = new HashMap<>();

  Decoder(String folder, String decoderFile) throws OrtException {
    encoder = environment.createSession(folder + "/encoder.onnx");
    cacheInitializer = environment.createSession(folder + "/cache_initializer.onnx");
    decoder = environment.createSession(folder + "/" + decoderFile);
  }

  /** Starts a sentence. embeddings: of its tokens, [1, length, cols]. */
  void encode(OnnxTensor embeddings, int beams) throws OrtException {
    int length = (int) embeddings.getInfo().getShape()[1];
    try (OnnxTensor mask = OnnxTensor.createTensor(environment, ones(1, length))) {
      encode(Map.of("embed_matrix", embeddings, "attention_mask", mask), beams);
    }
    inputs.put("encoder_attention_mask", OnnxTensor.createTensor(environment, ones(beams, length)));
  }

  /** Starts a sentence, given all inputs of the encoder. */
  void encode(Map<String, OnnxTensor> encoderInputs, int beams) throws OrtException {
    clear();
    try (OrtSession.Result encoded = encoder.run(encoderInputs);
        OrtSession.Result cache =
            cacheInitializer.run(Map.of("encoder_hidden_states", (OnnxTensor) encoded.get(0)))) {
      for (Map.Entry<String, OnnxValue> entry : cache) {
        OnnxTensor once = (OnnxTensor) entry.getValue();
        inputs.put(past(entry.getKey()), rows(once, new int[beams]));
        long[] shape = once.getInfo().getShape();
        shape[0] = beams;
        shape[2] = 0;
        inputs.put(
            past(entry.getKey()).replace("encoder", "decoder"),
            OnnxTensor.createTensor(environment, FloatBuffer.allocate(0), shape));
      }
    }
  }

  /** One step. embeddings: of the last tokens, [beams, 1, cols]. Returns the hidden states, [beams, 1, cols]. */
  OnnxTensor step(OnnxTensor embeddings) throws OrtException {
    return step("embed_matrix", embeddings, "pre_logits");
  }

  /** One step, given the decoder's input beside the cache. Returns the output beside the cache. */
  OnnxTensor step(String inputName, OnnxTensor input, String outputName) throws OrtException {
    OrtSession.Result result = decoder.run(with(inputName, input));
    pass(result);
    return (OnnxTensor) result.get(outputName).get();
  }

  /** One step that writes the hidden states into a tensor over a direct buffer. */
  void step(OnnxTensor embeddings, OnnxTensor hidden) throws OrtException {
    Set<String> cache = new HashSet<>(decoder.getOutputNames());
    cache.remove("pre_logits");
    pass(decoder.run(with("embed_matrix", embeddings), cache, Map.of("pre_logits", hidden)));
  }

  private Map<String, OnnxTensor> with(String name, OnnxTensor input) {
    Map<String, OnnxTensor> all = new HashMap<>(inputs);
    all.put(name, input);
    return all;
  }

  /** Keeps the cache that the decoder returned for the next step. */
  private void pass(OrtSession.Result result) {
    for (Map.Entry<String, OnnxValue> entry : result) {
      if (entry.getKey().startsWith("present")) {
        replace(past(entry.getKey()), (OnnxTensor) entry.getValue());
      }
    }
  }

  /** Lets beam i go on with the cache of beam parents[i]. */
  void reorder(int[] parents) throws OrtException {
    for (String name : inputs.keySet()) {
      if (name.contains(".decoder.")) {
        replace(name, rows(inputs.get(name), parents));
      }
    }
  }

  private void replace(String name, OnnxTensor tensor) {
    inputs.put(name, tensor).close();
  }

  /** A tensor of some rows along the first dimension. */
  private OnnxTensor rows(OnnxTensor from, int[] which) throws OrtException {
    long[] shape = from.getInfo().getShape();
    float[] values = from.getFloatBuffer().array();
    int size = (int) (values.length / shape[0]);
    FloatBuffer chosen = FloatBuffer.allocate(which.length * size);
    for (int row : which) {
      chosen.put(values, row * size, size);
    }
    shape[0] = which.length;
    return OnnxTensor.createTensor(environment, chosen.flip(), shape);
  }

  private static String past(String present) {
    return present.replace("present", "past_key_values");
  }

  private static long[][] ones(int rows, int cols) {
    long[][] ones = new long[rows][cols];
    for (long[] row : ones) {
      java.util.Arrays.fill(row, 1);
    }
    return ones;
  }

  private void clear() {
    inputs.values().forEach(OnnxTensor::close);
    inputs.clear();
  }

  @Override
  public void close() throws OrtException {
    clear();
    encoder.close();
    cacheInitializer.close();
    decoder.close();
  }
}
