package dev.tied.example

import dev.tied.TiedModel
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/** Decodes greedily; a shift by one column replaces the decoder. Buffers are allocated once. */
internal class Decoding(private val model: TiedModel) : AutoCloseable {
    init {
        require(model.embeddingCols() == model.cols()) {
            "an embedding has ${model.embeddingCols()} columns, but a hidden state has ${model.cols()}"
        }
    }

    private val session = model.newSession()
    private val embedding = floats(model.cols())
    private val hidden = floats(model.cols())
    private val token = intArrayOf(2)

    /** Returns the next token. */
    fun step(): Int {
        session.embed(token, embedding)
        for (c in 0 until model.cols()) hidden.put(c, embedding.get((c + 1) % model.cols()))
        session.topK(hidden, 1, 1, token, null)
        return token[0]
    }

    override fun close() = session.close()

    private fun floats(count: Int): FloatBuffer =
        ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder()).asFloatBuffer()
}
