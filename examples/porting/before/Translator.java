import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.LongBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** Translates with a greedy search. */
final class Translator implements AutoCloseable {
  static final int END = 2;
  static final int LONGEST = 32;

  final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  final Decoder decoder;
  final OrtSession embedAndLmHead;

  Translator(String folder) throws OrtException {
    decoder = new Decoder(folder, "decoder.onnx");
    embedAndLmHead = environment.createSession(folder + "/embed_and_lm_head.onnx");
  }

  /** [batch, ids.length / batch, cols] */
  OnnxTensor embed(int[] ids, int batch) throws OrtException {
    long[] longs = Arrays.stream(ids).asLongStream().toArray();
    long[] shape = {batch, ids.length / batch};
    return run("embed_matrix", LongBuffer.wrap(longs), shape, new float[1][1][64]);
  }

  /** [batch, 1, vocabulary] */
  float[][][] logits(OnnxTensor hidden) throws OrtException {
    try (OnnxTensor logits = run("logits", LongBuffer.allocate(1), new long[] {1, 1}, hidden.getValue())) {
      return (float[][][]) logits.getValue();
    }
  }

  /** Runs a branch of the If. The inputs of the other branch must be there, too. */
  private OnnxTensor run(String output, LongBuffer ids, long[] shape, Object hidden) throws OrtException {
    Map<String, OnnxTensor> inputs = new HashMap<>();
    inputs.put("use_lm_head", OnnxTensor.createTensor(environment, new boolean[] {output.equals("logits")}));
    inputs.put("input_ids", OnnxTensor.createTensor(environment, ids, shape));
    inputs.put("pre_logits", OnnxTensor.createTensor(environment, hidden));
    OnnxTensor result = (OnnxTensor) embedAndLmHead.run(inputs, Set.of(output)).get(0);
    inputs.values().forEach(OnnxTensor::close);
    return result;
  }

  int[] greedy(int[] source, int language) throws OrtException {
    try (OnnxTensor embeddings = embed(source, 1)) {
      decoder.encode(embeddings, 1);
    }
    int[] tokens = new int[LONGEST];
    int token = END; // an NLLB decoder starts with the end of a sentence
    int length = 0;
    while (length == 0 || (token != END && length < LONGEST)) {
      try (OnnxTensor embedding = embed(new int[] {token}, 1);
          OnnxTensor hidden = decoder.step(embedding)) {
        token = length == 0 ? language : best(logits(hidden)[0][0]);
      }
      tokens[length++] = token;
    }
    return Arrays.copyOf(tokens, length);
  }

  private static int best(float[] logits) {
    int best = 0;
    for (int id = 1; id < logits.length; ++id) {
      best = logits[id] > logits[best] ? id : best;
    }
    return best;
  }

  @Override
  public void close() throws OrtException {
    decoder.close();
    embedAndLmHead.close();
  }
}
