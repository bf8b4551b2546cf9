import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import dev.tied.TiedModel;
import dev.tied.TiedSession;
import java.nio.FloatBuffer;
import java.util.Arrays;

/** Translates with a greedy search. */
final class Translator implements AutoCloseable {
  static final int END = 2;
  static final int LONGEST = 32;

  final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  final Decoder decoder;
  final TiedModel model;
  final TiedSession embedAndLmHead;

  Translator(String folder) throws OrtException {
    decoder = new Decoder(folder, "decoder.onnx");
    model = TiedModel.open(folder + "/model.tied");
    embedAndLmHead = model.newSession();
  }

  /** [batch, ids.length / batch, cols] */
  OnnxTensor embed(int[] ids, int batch) throws OrtException {
    FloatBuffer rows = FloatBuffer.allocate(ids.length * model.cols());
    embedAndLmHead.embed(ids, rows.array());
    return OnnxTensor.createTensor(environment, rows, new long[] {batch, ids.length / batch, model.cols()});
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
        token = length == 0 ? language : (int) embedAndLmHead.argmax(hidden.getFloatBuffer());
      }
      tokens[length++] = token;
    }
    return Arrays.copyOf(tokens, length);
  }

  @Override
  public void close() throws OrtException {
    decoder.close();
    embedAndLmHead.close();
    model.close();
  }
}
