import ai.onnxruntime.OrtException;
import java.util.Arrays;
import java.util.Random;

/** Translates random sentences: Main FOLDER. Prints the tokens of a greedy search and of 3 and 5 beams. */
public final class Main {
  private static final int SENTENCES = 12;
  private static final int VOCABULARY = 500;

  public static void main(String[] args) throws OrtException {
    Random random = new Random(1);
    try (Translator translator = new Translator(args[0])) {
      for (int i = 0; i < SENTENCES; ++i) {
        int[] source = random.ints(3 + i, 10, VOCABULARY).toArray();
        int language = 3 + i % 5;
        System.out.println("greedy  " + Arrays.toString(translator.greedy(source, language)));
        System.out.println("3 beams " + Arrays.toString(new BeamSearch(translator, 3).run(source, language)));
        System.out.println("5 beams " + Arrays.toString(new BeamSearch(translator, 5).run(source, language)));
      }
    }
  }
}
