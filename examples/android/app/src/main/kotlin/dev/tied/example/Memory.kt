package dev.tied.example

import java.io.File

/** Memory that the system cannot take back without swapping, which is what Android's limits count. */
internal fun anonymousBytes(): Long =
    File("/proc/self/status").useLines { lines ->
        lines.filter { it.startsWith("RssAnon:") || it.startsWith("VmSwap:") }
            .sumOf { it.filter(Char::isDigit).toLong() * 1024 }
    }
