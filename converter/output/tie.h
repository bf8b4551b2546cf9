// The table to keep if embedding and lm_head read the same matrix, rounded in two different ways.
#ifndef TIED_CONVERTER_OUTPUT_TIE_H_
#define TIED_CONVERTER_OUTPUT_TIE_H_

namespace tied::converter {

// kNone: both, or refuse the model. kFiner: the table with the finer rounding; the embedding's if they are equal.
enum class Tie { kNone, kFiner, kEmbedding, kHead };

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_TIE_H_
