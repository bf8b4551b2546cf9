package dev.tied;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Loads libtied_jni.so, once. The system property {@code dev.tied.library} may name the file. Otherwise Android loads
 * the one installed with the app, and desktop Linux the one in this jar or on {@code java.library.path}.
 */
final class NativeLibrary {
  private static final String NAME = "tied_jni";

  static {
    String path = System.getProperty("dev.tied.library");
    if (path != null) {
      System.load(new File(path).getAbsolutePath());
    } else if (isAndroid() || !loadFromJar()) {
      System.loadLibrary(NAME);
    }
  }

  private NativeLibrary() {}

  static void load() {}

  /** A string as the native code reads it: UTF-8 with a final 0; null for null. */
  static byte @Nullable [] text(@Nullable String string) {
    return string == null ? null : (string + "\0").getBytes(StandardCharsets.UTF_8);
  }

  static boolean isAndroid() {
    return "The Android Project".equals(System.getProperty("java.vendor"));
  }

  /** The folder in the jar that holds the library for this machine, such as "linux-x86_64". */
  private static String platform() {
    String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    String arch = System.getProperty("os.arch");
    return os + "-" + (arch.equals("amd64") ? "x86_64" : arch);
  }

  private static boolean loadFromJar() {
    try (InputStream library = NativeLibrary.class.getResourceAsStream(platform() + "/lib" + NAME + ".so")) {
      if (library == null) {
        return false;
      }
      File file = File.createTempFile(NAME, ".so");
      try {
        Files.copy(library, file.toPath(), StandardCopyOption.REPLACE_EXISTING);
        System.load(file.getPath());
      } finally {
        // It stays mapped.
        file.delete();
      }
      return true;
    } catch (IOException e) {
      UnsatisfiedLinkError error = new UnsatisfiedLinkError("cannot unpack lib" + NAME + ".so: " + e.getMessage());
      error.initCause(e);
      throw error;
    }
  }
}
