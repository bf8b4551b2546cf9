// Which table is kept where embedding and lm_head read one matrix that was rounded in two ways.
#ifndef TIED_CONVERTER_OUTPUT_TIE_H_
#define TIED_CONVERTER_OUTPUT_TIE_H_

namespace tied::converter {

// kNone: both, or the model is refused. kFiner: the one whose rounding is smaller, the embedding's if they are equal.
enum class Tie { kNone, kFiner, kEmbedding, kHead };

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_TIE_H_
