/**
 * Embeddings, logits and top-k of a translation or language model from one copy of its table, mapped from a file. A
 * parameter or result may be null only where it says so.
 */
@NullMarked
package dev.tied;

import org.jspecify.annotations.NullMarked;
