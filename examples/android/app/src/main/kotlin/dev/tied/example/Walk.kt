package dev.tied.example

import dev.tied.TiedModel
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/** Decodes greedily; a shift by one column replaces the decoder. Buffers are allocated once. */
internal class Walk(private val model: TiedModel) : AutoCloseable {
    init {
        require(model.embeddingCols() == model.cols()) {
            "an embedding has ${model.embeddingCols()} columns, but a hidden state has ${model.cols()}"
        }
    }

    private val session = model.newSession()
    private val embedding = floats(model.embeddingCols())
    private val hidden = floats(model.cols())
    private val token = longArrayOf(2)

    /** Decodes tokens and returns a summary. */
    fun run(tokens: Int): String {
        step() // reads the table from storage
        val begin = System.nanoTime()
        repeat(tokens) { step() }
        val seconds = (System.nanoTime() - begin) * 1e-9
        val rate = tokens / seconds
        return "%.1f tokens per second on %d threads; the last token is %d".format(rate, session.threads(), token[0])
    }

    override fun close() = session.close()

    private fun step() {
        session.embed(token, embedding)
        for (c in 0 until model.cols()) hidden.put(c, embedding.get((c + 1) % model.cols()))
        session.topK(hidden, 1, 1, token, null)
    }

    private fun floats(count: Int): FloatBuffer =
        ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder()).asFloatBuffer()
}
