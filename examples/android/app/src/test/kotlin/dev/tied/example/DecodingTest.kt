package dev.tied.example

import android.app.Application
import dev.tied.TiedModel
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

@RunWith(RobolectricTestRunner::class)
class DecodingTest {
    private val application: Application = RuntimeEnvironment.getApplication()

    private fun open(): TiedModel =
        application.assets.openFd("model.tied").use {
            TiedModel.open(it.parcelFileDescriptor.fd, it.startOffset, it.length)
        }

    private fun floats(count: Int): FloatBuffer =
        ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder()).asFloatBuffer()

    /** The token with the largest of all logits. */
    private fun next(model: TiedModel, token: Int): Int =
        model.newSession().use { session ->
            val row = FloatArray(model.cols()).also { session.embed(intArrayOf(token), it) }
            val hidden = FloatBuffer.wrap(FloatArray(row.size) { row[(it + 1) % row.size] })
            val logits = floats(model.vocabulary()).also { session.logits(hidden, 1, it) }
            (0 until model.vocabulary()).maxBy { logits[it] }
        }

    @Test
    fun tokensAreThoseWithTheLargestLogits() {
        open().use { model ->
            val expected = generateSequence(2) { next(model, it) }.drop(1).take(20).toList()
            Decoding(model).use { decoding -> assertEquals(expected, List(20) { decoding.step() }) }
        }
    }

    @Test
    fun anonymousMemoryGrowsWithACopy() {
        val size = 64 shl 20
        val before = anonymousBytes()
        val copy = ByteBuffer.allocateDirect(size) // zeroed, so that all of its pages exist
        val grown = anonymousBytes() - before
        assertEquals(size.toDouble(), grown.toDouble(), size / 8.0)
        assertEquals(size, copy.capacity())
    }

    @Test
    fun aClosedModelIsNotUsed() {
        val model = open().also { it.close() }
        assertThrows(IllegalStateException::class.java) { Decoding(model) }
    }
}
