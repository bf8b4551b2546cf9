package dev.tied.example

import android.app.Application
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.SavedStateHandle
import androidx.lifecycle.viewModelScope
import dev.tied.TiedException
import dev.tied.TiedModel
import java.io.IOException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.isActive
import kotlinx.coroutines.launch

/** What the screen shows. */
data class State(
    val rows: Int = 0,
    val cols: Int = 0,
    val openedInMs: Double = 0.0,
    val percentRead: Int = 0,
    val running: Boolean = false,
    val tokens: Int = 0,
    val tokensPerSecond: Double = 0.0,
    val anonymousBytes: Long = 0,
    val modelBytes: Long = 0,
    val error: String? = null,
)

/**
 * Owns the model and the decoding, which go on while the activity is recreated. The activity's extra "model" may name
 * another asset: adb shell am start -e model other.tied dev.tied.example/.MainActivity
 */
class DecodeViewModel(application: Application, saved: SavedStateHandle) : AndroidViewModel(application) {
    private val asset = saved["model"] ?: "model.tied"
    private val mutableState = MutableStateFlow(State())
    val state: StateFlow<State> = mutableState.asStateFlow()

    @Volatile private var model: TiedModel? = null
    private var decoding: Job? = null

    init {
        launch { open() }
    }

    fun start() {
        val opened = model ?: return
        if (decoding?.isActive == true) return
        decoding = launch { Decoding(opened).use { run(opened, it) } }
    }

    fun stop() {
        decoding?.cancel()
    }

    /** For onTrimMemory: while tokens are decoded, the pages would be read again at once. */
    fun trim(level: Int, whileRunning: Boolean) {
        if (whileRunning || decoding?.isActive != true) model?.trimMemory(level)
    }

    private fun launch(work: CoroutineScope.() -> Unit): Job =
        viewModelScope.launch(Dispatchers.Default) {
            try {
                work()
            } catch (e: TiedException) {
                mutableState.update { it.copy(running = false, error = "$asset: ${e.message}") }
            } catch (e: IOException) {
                mutableState.update { it.copy(error = "$asset: ${e.message}") }
            }
        }

    /** Maps the asset inside the APK and reads it into the page cache, so that the first token does not wait for it. */
    private fun CoroutineScope.open() {
        val begin = System.nanoTime()
        val opened = getApplication<Application>().assets.openFd(asset).use {
            TiedModel.open(it.parcelFileDescriptor.fd, it.startOffset, it.length)
        }
        addCloseable(opened)
        val ms = (System.nanoTime() - begin) * 1e-6
        mutableState.update { it.copy(rows = opened.rows(), cols = opened.cols(), openedInMs = ms) }
        opened.prefetch { done, total ->
            mutableState.update { it.copy(percentRead = (100 * done / total).toInt()) }
            isActive
        }
        model = opened
        mutableState.update { it.copy(percentRead = 100, anonymousBytes = anonymousBytes()) }
    }

    private fun CoroutineScope.run(opened: TiedModel, decoding: Decoding) {
        decoding.step() // starts the threads
        val begin = System.nanoTime()
        var tokens = 0
        var shown = begin
        mutableState.update { it.copy(running = true) }
        while (isActive) {
            decoding.step()
            tokens++
            val now = System.nanoTime()
            if (now - shown >= SHOW_EVERY_NS) {
                shown = now
                show(opened, tokens, tokens / ((now - begin) * 1e-9))
            }
        }
        mutableState.update { it.copy(running = false) }
    }

    private fun show(opened: TiedModel, tokens: Int, rate: Double) = mutableState.update {
        it.copy(
            tokens = tokens,
            tokensPerSecond = rate,
            anonymousBytes = anonymousBytes(),
            modelBytes = opened.residentBytes(),
        )
    }

    private companion object {
        const val SHOW_EVERY_NS = 100_000_000L
    }
}
