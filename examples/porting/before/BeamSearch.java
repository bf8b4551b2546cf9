import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import java.util.Arrays;

/** Translates with a beam search that prefers the best mean log-probability. */
final class BeamSearch {
  private final Translator translator;
  private final int beams;
  /** The best continuations of a step. */
  private final int[] parents;
  private final int[] ids;
  private final double[] sums;

  BeamSearch(Translator translator, int beams) {
    this.translator = translator;
    this.beams = beams;
    parents = new int[2 * beams];
    ids = new int[2 * beams];
    sums = new double[2 * beams];
  }

  int[] run(int[] source, int language) throws OrtException {
    try (OnnxTensor embeddings = translator.embed(source, 1)) {
      translator.decoder.encode(embeddings, beams);
    }
    int[] token = new int[beams];
    Arrays.fill(token, Translator.END);
    try (OnnxTensor embedding = translator.embed(token, beams)) {
      translator.decoder.step(embedding).close(); // the first token is the language, whatever the hidden state says
    }
    Arrays.fill(token, language);
    double[] scores = new double[beams];
    Arrays.fill(scores, 1, beams, Double.NEGATIVE_INFINITY); // all beams are still the same
    int[][] tokens = new int[beams][Translator.LONGEST];
    int[] best = {};
    double bestMean = Double.NEGATIVE_INFINITY;
    for (int length = 1; length < Translator.LONGEST && scores[0] / length > bestMean; ++length) {
      try (OnnxTensor embedding = translator.embed(token, beams);
          OnnxTensor hidden = translator.decoder.step(embedding)) {
        step(translator.logits(hidden), scores);
      }
      int[] from = new int[beams];
      int[][] longer = new int[beams][];
      for (int i = 0, next = 0; next < beams; ++i) {
        int[] sentence = tokens[parents[i]].clone();
        sentence[0] = language;
        sentence[length] = ids[i];
        if (ids[i] != Translator.END) {
          from[next] = parents[i];
          token[next] = ids[i];
          scores[next] = sums[i];
          longer[next++] = sentence;
        } else if (i < beams && sums[i] / length > bestMean) {
          bestMean = sums[i] / length;
          best = Arrays.copyOf(sentence, length + 1);
        }
      }
      tokens = longer;
      translator.decoder.reorder(from);
    }
    return best.length > 0 ? best : tokens[0];
  }

  /** Finds the best 2 * beams sums of a beam's score and a log-probability. */
  private void step(float[][][] logits, double[] scores) {
    Arrays.fill(sums, Double.NEGATIVE_INFINITY);
    for (int beam = 0; beam < beams; ++beam) {
      double sumOfExp = 0;
      for (float logit : logits[beam][0]) {
        sumOfExp += Math.exp(logit);
      }
      double logZ = Math.log(sumOfExp);
      for (int id = 0; id < logits[beam][0].length; ++id) {
        insert(beam, id, scores[beam] + logits[beam][0][id] - logZ);
      }
    }
  }

  private void insert(int beam, int id, double sum) {
    int at = sums.length;
    for (; at > 0 && sum > sums[at - 1]; --at) {
      if (at < sums.length) {
        parents[at] = parents[at - 1];
        ids[at] = ids[at - 1];
        sums[at] = sums[at - 1];
      }
    }
    if (at < sums.length) {
      parents[at] = beam;
      ids[at] = id;
      sums[at] = sum;
    }
  }
}
