package consumer;

import dev.tied.TiedModel;

/** Opens the model named on the command line. */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    try (TiedModel model = TiedModel.open(args[0])) {
      System.out.println("vocabulary " + model.vocabulary());
    }
  }
}
