#include "converter/output/screen_loops.h"

#include "converter/output/screen_vectors.h"

namespace tied::converter {

const ScreenLoops kBaselineScreenLoops = kLoops;

const ScreenLoops& FastestScreenLoops() {
  static const ScreenLoops* const avx2 = Avx2ScreenLoops();
  return avx2 == nullptr ? kBaselineScreenLoops : *avx2;
}

#ifndef TIED_SCREEN_AVX2
const ScreenLoops* Avx2ScreenLoops() { return nullptr; }
#endif

}  // namespace tied::converter
