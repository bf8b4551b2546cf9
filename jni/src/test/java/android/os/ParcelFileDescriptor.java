package android.os;

import dev.tied.TiedModel;
import java.io.Closeable;
import java.io.FileDescriptor;
import java.io.IOException;
import java.lang.reflect.Method;

/** What TiedModel uses of Android's class of this name. */
public final class ParcelFileDescriptor implements Closeable {
  /** Duplicates made so far, and those that are not closed. */
  public static int duplicates;

  public static int open;

  private final int fd;

  private ParcelFileDescriptor(int fd) {
    this.fd = fd;
    ++duplicates;
    ++open;
  }

  public static ParcelFileDescriptor dup(FileDescriptor descriptor) throws IOException {
    if (!descriptor.valid()) {
      throw new IOException("closed");
    }
    try {
      Method number = TiedModel.class.getDeclaredMethod("nativeDescriptor", FileDescriptor.class);
      number.setAccessible(true);
      return new ParcelFileDescriptor((int) number.invoke(null, descriptor));
    } catch (ReflectiveOperationException e) {
      throw new IOException(e);
    }
  }

  public int getFd() {
    return fd;
  }

  @Override
  public void close() {
    --open;
  }
}
