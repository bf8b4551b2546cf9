import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import dev.tied.TiedModel;
import dev.tied.TiedSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;

/** The greedy search without garbage from tied: the decoder reads and writes two direct buffers in place. */
final class InPlace {
  private final Translator translator;
  private final TiedSession head;
  private final FloatBuffer embedding;
  private final FloatBuffer hidden;
  private final OnnxTensor decoderInput;
  private final OnnxTensor decoderOutput;

  InPlace(Translator translator) throws OrtException {
    this.translator = translator;
    TiedModel model = translator.model;
    head = translator.embedAndLmHead;
    long[] shape = {1, 1, model.cols()};
    embedding = ByteBuffer.allocateDirect(4 * model.cols()).order(ByteOrder.nativeOrder()).asFloatBuffer();
    hidden = ByteBuffer.allocateDirect(4 * model.cols()).order(ByteOrder.nativeOrder()).asFloatBuffer();
    decoderInput = OnnxTensor.createTensor(translator.environment, embedding, shape);
    decoderOutput = OnnxTensor.createTensor(translator.environment, hidden, shape);
  }

  int[] greedy(int[] source, int language) throws OrtException {
    try (OnnxTensor embeddings = translator.embed(source, 1)) {
      translator.decoder.encode(embeddings, 1);
    }
    int[] tokens = new int[Translator.LONGEST];
    int[] token = {Translator.END};
    int length = 0;
    while (length == 0 || (token[0] != Translator.END && length < Translator.LONGEST)) {
      head.embed(token, embedding);
      translator.decoder.step(decoderInput, decoderOutput);
      head.topK(hidden, 1, 1, token, null);
      token[0] = length == 0 ? language : token[0];
      tokens[length++] = token[0];
    }
    return Arrays.copyOf(tokens, length);
  }

  public static void main(String[] args) throws OrtException {
    try (Translator translator = new Translator(args[0])) {
      InPlace inPlace = new InPlace(translator);
      for (int i = 0; i < Main.SENTENCES; ++i) {
        System.out.println("greedy  " + Arrays.toString(inPlace.greedy(Main.source(i), 3 + i % 5)));
      }
    }
  }
}
