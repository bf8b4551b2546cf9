// Measures the errors of a lossy table while it is written.
#ifndef TIED_CONVERTER_OUTPUT_ERROR_METER_H_
#define TIED_CONVERTER_OUTPUT_ERROR_METER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "converter/report.h"

namespace tied::converter {

class ErrorMeter {
 public:
  // Measures logits with a few random hidden states, normally distributed, and with up to 64 from `recorded`, a file of
  // little-endian float32 [tokens, cols] ("": none). Throws ConvertError if that file is not a whole number of tokens.
  ErrorMeter(uint64_t rows, uint64_t cols, const std::string& recorded);

  struct WeightErrors {
    double largest = 0;
    double sum_of_squares = 0;
  };

  // Measures the rows from `first` on, [count, cols]: original and stored values. Several threads may call it at once
  // for different rows; one thread then passes the results to Add().
  WeightErrors Measure(uint64_t first, const float* original, const float* stored, size_t count);
  void Add(const WeightErrors& errors);

  MeasuredError Report() const;

 private:
  LogitErrors ReportLogits(const char* kind, size_t first_token, size_t tokens) const;

  size_t rows_;
  size_t cols_;
  size_t recorded_tokens_ = 0;
  std::vector<float> hidden_;    // [tokens, cols]
  std::vector<float> original_;  // logits, [tokens, rows]
  std::vector<float> stored_;
  WeightErrors errors_;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_ERROR_METER_H_
