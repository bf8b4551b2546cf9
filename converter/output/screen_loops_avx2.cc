#include "converter/output/screen_loops.h"
#include "converter/output/screen_vectors.h"

namespace tied::converter {

const ScreenLoops* Avx2ScreenLoops() { return __builtin_cpu_supports("avx2") ? &kLoops : nullptr; }

}  // namespace tied::converter
