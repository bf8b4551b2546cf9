package dev.tied;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import android.os.ParcelFileDescriptor;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TiedModelTest {
  @TempDir Path folder;

  private static TiedException.Status statusOf(org.junit.jupiter.api.function.Executable call) {
    return assertThrows(TiedException.class, call).status();
  }

  @Test
  void opensByPathAndDescribesItself() {
    try (TiedModel model = SmallModel.open("small.tied", TiedModel.Option.VERIFY)) {
      assertEquals(SmallModel.ROWS, model.rows());
      assertEquals(SmallModel.COLS, model.cols());
      assertEquals(Arrays.asList("embed", "head"), model.entryPoints());
      model.verify();
    }
  }

  @Test
  void opensAPathOfAnyCharacters() throws Exception {
    Path path = folder.resolve("größe 模型 \uD83D\uDE00.tied");
    Files.copy(SmallModel.file("small.tied"), path);
    try (TiedModel model = TiedModel.open(path.toString())) {
      assertEquals(SmallModel.ROWS, model.rows());
    }
    Files.delete(path);
    TiedException missing = assertThrows(TiedException.class, () -> TiedModel.open(path.toString()));
    assertTrue(missing.getMessage().contains("模型 \uD83D\uDE00"), missing.getMessage());
  }

  @Test
  void opensPartOfAFileWhoseDescriptorIsThenClosed() throws Exception {
    Path path = folder.resolve("asset");
    try (FileOutputStream out = new FileOutputStream(path.toFile())) {
      out.write(new byte[12]);
      out.write(Files.readAllBytes(SmallModel.file("small.tied")));
      out.write(new byte[5]);
    }
    long length = Files.size(SmallModel.file("small.tied"));
    TiedModel model;
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "r")) {
      model = TiedModel.open(file.getFD(), 12, length);
    }
    model.verify();
    model.close();
  }

  @Test
  void readsADescriptorThroughAndroidsPublicClass() throws Exception {
    String vendor = System.getProperty("java.vendor");
    try (RandomAccessFile file = new RandomAccessFile(SmallModel.file("small.tied").toFile(), "r")) {
      System.setProperty("java.vendor", "The Android Project");
      try (TiedModel model = TiedModel.open(file.getFD(), 0, 0)) {
        model.verify();
      }
      assertEquals(0, ParcelFileDescriptor.open);
      assertEquals(1, ParcelFileDescriptor.duplicates);
      assertEquals(TiedException.Status.IO_ERROR, statusOf(() -> TiedModel.open(new FileDescriptor(), 0, 0)));
    } finally {
      System.setProperty("java.vendor", vendor);
    }
  }

  @Test
  void aCopySurvivesWhatHappensToTheFile() throws Exception {
    Path path = folder.resolve("m.tied");
    Files.copy(SmallModel.file("small.tied"), path);
    try (TiedModel model = TiedModel.open(path.toString(), TiedModel.Option.COPY)) {
      Files.write(path, new byte[0]);
      model.verify();
    }
  }

  @Test
  void refusesWhatIsNoModel() throws Exception {
    Path path = folder.resolve("text");
    Files.write(path, new byte[100]);
    assertEquals(TiedException.Status.CORRUPT, statusOf(() -> TiedModel.open(path.toString())));
    assertEquals(TiedException.Status.NOT_FOUND, statusOf(() -> TiedModel.open(path + "s")));
    assertEquals(TiedException.Status.INVALID_ARGUMENT, statusOf(() -> TiedModel.open("a\0b")));
    assertEquals(TiedException.Status.IO_ERROR, statusOf(() -> TiedModel.open(-1, 0, 0)));
    assertEquals(TiedException.Status.IO_ERROR, statusOf(() -> TiedModel.open(new FileDescriptor(), 0, 0)));
    assertEquals(
        TiedException.Status.CORRUPT, statusOf(() -> SmallModel.open("damaged.tied", TiedModel.Option.VERIFY)));
    assertThrows(NullPointerException.class, () -> TiedModel.open((String) null));
    assertThrows(NullPointerException.class, () -> TiedModel.open((FileDescriptor) null, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> TiedModel.open(0, -4, 0));
  }

  @Test
  void aClosedModelIsAnExceptionAndItsSessionsGoOn() {
    TiedModel model = SmallModel.open("small.tied");
    TiedSession session = model.newSession(1, true);
    model.close();
    model.close();
    assertThrows(IllegalStateException.class, model::verify);
    assertThrows(IllegalStateException.class, model::newSession);
    assertThrows(IllegalStateException.class, model::residentBytes);
    assertEquals(1, session.threads());
    session.close();
    session.close();
    assertThrows(IllegalStateException.class, session::threads);
    assertThrows(IllegalStateException.class, session::cancel);
  }

  @Test
  void refusesThreadsThatAreNotPossible() {
    try (TiedModel model = SmallModel.open("small.tied")) {
      assertEquals(TiedException.Status.INVALID_ARGUMENT, statusOf(() -> model.newSession(-1, true)));
      assertEquals(TiedException.Status.INVALID_ARGUMENT, statusOf(() -> model.newSession(257, true)));
    }
  }

  @Test
  void givesBackWhatItSays() {
    try (TiedModel model = SmallModel.open("large.tied")) {
      model.verify();
      long table = (long) model.rows() * model.cols() * 4;
      long resident = model.residentBytes();
      assertTrue(resident >= table, resident + " of " + table);
      final int runningModerate = 5;
      final int uiHidden = 20;
      assertEquals(0, model.trimMemory(runningModerate));
      assertEquals(resident, model.trimMemory(uiHidden));
      assertEquals(0, model.residentBytes());
      model.verify();
    }
  }

  @Test
  void prefetchTellsItsProgressAndCanBeStopped() throws Exception {
    try (TiedModel model = SmallModel.open("large.tied")) {
      long length = Files.size(SmallModel.file("large.tied"));
      for (boolean everything : new boolean[] {false, true}) {
        List<Long> steps = new ArrayList<>();
        long[] total = new long[1];
        model.prefetch(everything, (done, of) -> {
          steps.add(done);
          total[0] = of;
          return true;
        });
        assertEquals(0, steps.get(0));
        assertEquals(total[0], steps.get(steps.size() - 1));
        assertEquals(everything, total[0] == length);
        assertTrue(total[0] >= (long) model.rows() * model.cols() * 4, total[0] + " bytes");
      }
      model.prefetch(null);
      assertEquals(TiedException.Status.CANCELLED, statusOf(() -> model.prefetch((done, of) -> false)));
      assertThrows(
          UnsupportedOperationException.class,
          () -> model.prefetch((done, of) -> {
            throw new UnsupportedOperationException();
          }));
    }
  }

  @Test
  void aModelThatIsClosedDuringAPrefetchClosesAfterIt() {
    TiedModel model = SmallModel.open("large.tied");
    model.prefetch((done, total) -> {
      model.close();
      return true;
    });
    assertThrows(IllegalStateException.class, () -> model.prefetch(null));
  }

  @Test
  void whatIsForgottenIsClosed() throws Exception {
    long before = mappings();
    for (int i = 0; i < 20; ++i) {
      SmallModel.open("large.tied").newSession(1, true).threads();
    }
    for (int i = 0; i < 100 && mappings() > before; ++i) {
      System.gc();
      Thread.sleep(20);
    }
    assertEquals(before, mappings());
  }

  private static long mappings() throws Exception {
    return Files.readAllLines(java.nio.file.Paths.get("/proc/self/maps")).stream()
        .filter(line -> line.endsWith("large.tied"))
        .count();
  }
}
