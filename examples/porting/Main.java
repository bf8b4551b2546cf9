import ai.onnxruntime.OrtException;
import java.util.Arrays;
import java.util.Random;

/**
 * Translates random sentences and recognises random sounds: Main FOLDER. Prints the tokens of a greedy search and of 3
 * and 5 beams, and those of speech, for float and for quantised weights.
 */
public final class Main {
  static final int SENTENCES = 12;
  private static final int VOCABULARY = 500;
  private static final int MELS = 16;

  public static void main(String[] args) throws OrtException {
    translate(args[0]);
    recognise(args[0] + "/speech");
    recognise(args[0] + "/speech_int8");
    recognise(args[0] + "/speech_layers_int8");
  }

  /** Random words. */
  static int[] source(int sentence) {
    return new Random(sentence).ints(3 + sentence, 10, VOCABULARY).toArray();
  }

  private static void translate(String folder) throws OrtException {
    try (Translator translator = new Translator(folder)) {
      for (int i = 0; i < SENTENCES; ++i) {
        int[] source = source(i);
        int language = 3 + i % 5;
        System.out.println("greedy  " + Arrays.toString(translator.greedy(source, language)));
        System.out.println("3 beams " + Arrays.toString(new BeamSearch(translator, 3).run(source, language)));
        System.out.println("5 beams " + Arrays.toString(new BeamSearch(translator, 5).run(source, language)));
      }
    }
  }

  private static void recognise(String folder) throws OrtException {
    Random random = new Random(1);
    int[] prompt = {5, 9, 11, 4};
    int[] suppressed = {0, 1, 3, 311, 452};
    try (Recognizer recognizer = new Recognizer(folder, suppressed)) {
      for (int i = 0; i < SENTENCES; ++i) {
        float[][][] sound = new float[1][MELS][40 + 4 * i];
        for (float[] band : sound[0]) {
          for (int frame = 0; frame < band.length; ++frame) {
            band[frame] = (float) random.nextGaussian();
          }
        }
        System.out.println("speech  " + Arrays.toString(recognizer.run(sound, prompt)));
      }
    }
  }
}
