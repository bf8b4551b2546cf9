package dev.tied.example

import android.os.Bundle
import android.widget.Button
import android.widget.ProgressBar
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.viewModels
import androidx.lifecycle.Lifecycle
import androidx.lifecycle.lifecycleScope
import androidx.lifecycle.repeatOnLifecycle
import kotlinx.coroutines.launch

/** Opens a model among the assets, decodes tokens, and shows speed and memory. */
class MainActivity : ComponentActivity() {
    private val decode: DecodeViewModel by viewModels()

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        findViewById<Button>(R.id.toggle).setOnClickListener {
            if (decode.state.value.running) decode.stop() else decode.start()
        }
        lifecycleScope.launch {
            repeatOnLifecycle(Lifecycle.State.STARTED) { decode.state.collect(::show) }
        }
    }

    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        decode.trim(level, whileRunning = level >= TRIM_MEMORY_BACKGROUND)
    }

    private fun show(state: State) {
        text(R.id.model, state.error ?: getString(R.string.model, state.rows, state.cols, state.openedInMs))
        findViewById<ProgressBar>(R.id.progress).progress = state.percentRead
        findViewById<Button>(R.id.toggle).apply {
            isEnabled = state.percentRead == 100
            setText(if (state.running) R.string.stop else R.string.start)
        }
        text(R.id.speed, getString(R.string.speed, state.tokensPerSecond, state.tokens))
        text(R.id.memory, getString(R.string.memory, state.anonymousBytes * 1e-6, state.modelBytes * 1e-6))
    }

    private fun text(id: Int, text: String) {
        findViewById<TextView>(id).text = text
    }
}
