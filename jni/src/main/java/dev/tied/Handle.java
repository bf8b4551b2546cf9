package dev.tied;

import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.Collections;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Owns a native object. Frees it once it is closed and no call uses it, or when its owner is collected.
 * (java.lang.ref.Cleaner does the latter, but Android has it only since API level 33.)
 */
abstract class Handle extends PhantomReference<Object> {
  private static final ReferenceQueue<Object> ABANDONED = new ReferenceQueue<>();
  // Keeps the references themselves from being collected.
  private static final Set<Handle> LIVE = Collections.newSetFromMap(new ConcurrentHashMap<Handle, Boolean>());
  private static final int CLOSED = 1 << 30;

  static {
    Thread cleaner = new Thread(Handle::closeAbandoned, "tied-cleaner");
    cleaner.setDaemon(true);
    cleaner.start();
  }

  private final long pointer;
  private final String what;
  /** The number of calls in progress, plus CLOSED once close() was called. */
  private final AtomicInteger users = new AtomicInteger();

  Handle(Object owner, long pointer, String what) {
    super(owner, ABANDONED);
    this.pointer = pointer;
    this.what = what;
    LIVE.add(this);
  }

  abstract void free(long pointer);

  /** The pointer, valid until {@link #release}. Throws IllegalStateException if the object is closed. */
  final long acquire() {
    int now;
    do {
      now = users.get();
      if ((now & CLOSED) != 0) {
        throw new IllegalStateException(what + " is closed");
      }
    } while (!users.compareAndSet(now, now + 1));
    return pointer;
  }

  final void release() {
    if (users.decrementAndGet() == CLOSED) {
      free(pointer);
    }
  }

  /** Refuses further calls; running ones may end. Does nothing the second time. */
  final void close() {
    int now;
    do {
      now = users.get();
      if ((now & CLOSED) != 0) {
        return;
      }
    } while (!users.compareAndSet(now, now | CLOSED));
    clear();
    LIVE.remove(this);
    if (now == 0) {
      free(pointer);
    }
  }

  private static void closeAbandoned() {
    while (true) {
      try {
        ((Handle) ABANDONED.remove()).close();
      } catch (InterruptedException e) {
        // Nobody has a reason to interrupt this thread.
      }
    }
  }
}
