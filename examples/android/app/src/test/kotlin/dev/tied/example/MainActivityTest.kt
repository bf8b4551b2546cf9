package dev.tied.example

import android.content.Intent
import android.os.Looper
import android.widget.Button
import android.widget.TextView
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController

/** Uses the screen only, so that it also runs on what R8 leaves of the app. The asset is a model of [19, 6]. */
@RunWith(RobolectricTestRunner::class)
class MainActivityTest {
    private lateinit var activity: ActivityController<MainActivity>

    private fun start(asset: String? = null) {
        val intent = Intent().apply { asset?.let { putExtra("model", it) } }
        activity = Robolectric.buildActivity(MainActivity::class.java, intent).setup()
    }

    @After
    fun destroy() {
        activity.destroy()
    }

    private fun text(id: Int) = activity.get().findViewById<TextView>(id).text.toString()

    private fun toggle(): Button = activity.get().findViewById(R.id.toggle)

    private fun tokens() = Regex("\\((\\d+) tokens\\)").find(text(R.id.speed))!!.groupValues[1].toInt()

    private fun await(what: String, condition: () -> Boolean) {
        val end = System.nanoTime() + 30_000_000_000
        while (!condition()) {
            assertTrue("$what: ${text(R.id.model)}, ${text(R.id.speed)}", System.nanoTime() < end)
            shadowOf(Looper.getMainLooper()).idle()
            Thread.yield()
        }
    }

    @Test
    fun opensTheAssetInPlace() {
        start()
        await("opened") { toggle().isEnabled }
        assertTrue(text(R.id.model), text(R.id.model).startsWith("19 rows, 6 columns, opened in "))
    }

    @Test
    fun saysWhatIsWrongWithAFile() {
        start("other.tied")
        await("refused") { text(R.id.model).startsWith("other.tied: ") }
        assertTrue(text(R.id.model), text(R.id.model).contains("too few for a .tied file"))
        assertFalse(toggle().isEnabled)
        destroy()
        start("missing.tied")
        await("not found") { text(R.id.model).startsWith("missing.tied: ") }
    }

    @Test
    fun decodesUntilItIsStoppedAndGoesOnWhileTheScreenTurns() {
        start()
        await("opened") { toggle().isEnabled }
        toggle().performClick()
        await("first tokens") { tokens() > 0 }
        assertTrue(text(R.id.memory), Regex("^[1-9][0-9]*\\.\\d MB of anonymous").containsMatchIn(text(R.id.memory)))

        val before = tokens()
        val old = activity.get()
        activity.recreate()
        assertTrue(activity.get() !== old)
        assertTrue("${tokens()} tokens after $before", tokens() >= before)
        assertEquals("Stop", toggle().text.toString())
        await("more tokens") { tokens() > before }

        activity.get().onTrimMemory(20)
        toggle().performClick()
        await("stopped") { toggle().text == "Start" }
    }
}
