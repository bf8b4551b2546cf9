package dev.tied.example

import android.app.Activity
import android.os.Bundle
import android.os.Debug
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import dev.tied.TiedException
import dev.tied.TiedModel
import java.io.File
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors

/** Opens model.tied in the app's files folder, decodes tokens, and shows memory and speed. */
class MainActivity : Activity() {
    private val worker: ExecutorService = Executors.newSingleThreadExecutor()
    private lateinit var report: TextView
    private lateinit var start: Button
    @Volatile private var model: TiedModel? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        report = TextView(this).apply { setPadding(32, 32, 32, 32) }
        start = Button(this).apply {
            setText(R.string.start)
            setOnClickListener { measure() }
        }
        setContentView(LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            fitsSystemWindows = true
            addView(start)
            addView(report)
        })
        worker.execute(::open)
    }

    override fun onDestroy() {
        worker.execute {
            model?.close()
            model = null
        }
        worker.shutdown()
        super.onDestroy()
    }

    // Safe during a walk, which reads the pages again.
    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        model?.trimMemory(level)
    }

    private fun open() {
        val file = File(filesDir, "model.tied")
        if (!file.exists()) return show(getString(R.string.no_model, filesDir.path))
        try {
            val begin = System.nanoTime()
            val opened = TiedModel.open(file.path)
            val ms = (System.nanoTime() - begin) * 1e-6
            model = opened
            show("[%d, %d], opened in %.2f ms".format(opened.rows(), opened.cols(), ms))
        } catch (e: TiedException) {
            show(e.message ?: e.status().name)
        }
    }

    private fun measure() {
        start.isEnabled = false
        worker.execute {
            val opened = model
            if (opened != null) {
                try {
                    show(Walk(opened).use { it.run(TOKENS) } + memory(opened))
                } catch (e: TiedException) {
                    show(e.message ?: e.status().name)
                }
            }
            runOnUiThread { start.isEnabled = true }
        }
    }

    private fun memory(opened: TiedModel): String {
        val info = Debug.MemoryInfo().also(Debug::getMemoryInfo)
        return "\nmodel resident: %d MB\nprocess PSS: %d MB, private dirty: %d MB"
            .format(opened.residentBytes() / 1_000_000, info.totalPss / 1000, info.totalPrivateDirty / 1000)
    }

    private fun show(text: String) = runOnUiThread { report.text = text }

    private companion object {
        const val TOKENS = 32
    }
}
