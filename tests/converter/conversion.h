// Converts in a separate folder, and runs the result through the C ABI.
#ifndef TIED_TESTS_CONVERTER_CONVERSION_H_
#define TIED_TESTS_CONVERTER_CONVERSION_H_

#include <gtest/gtest.h>
#include <tied/tied.h>

#include <memory>
#include <string>
#include <vector>

#include "converter/convert.h"
#include "tests/converter/onnx_builder.h"

namespace tied::test {

class ConversionTest : public testing::Test {
 protected:
  ConversionTest();
  ~ConversionTest() override;

  const std::string& Folder() const { return folder_; }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::vector<std::string> Files() const;  // sorted

  // Saves the model as model.onnx, and converts it to model.tied, which is then open.
  void Convert(const onnx::ModelProto& model);

  // Converts `source` to kept.tied with only the rows of these ids, and checks it.
  void ConvertKeeping(const std::string& ids, converter::NumberFormat format = converter::NumberFormat::kFloat32,
                      bool screen = false, const std::string& source = "model.onnx") const;

  // The message of a conversion that must fail; "" if it does not.
  std::string Refusal(const std::string& path) const;

  // Calls tied_run() with the graph's names. Finds the entry point by its operation.
  std::vector<float> RunEmbedding(const std::vector<int64_t>& ids, const std::vector<int64_t>& dims) const;
  std::vector<float> RunHead(const std::vector<float>& hidden, const std::vector<int64_t>& dims) const;

  size_t TableCount() const;
  std::vector<std::string> EntryPointNames() const;
  int SelectorValue(size_t entry_point) const;
  std::vector<std::string> HeadResults() const;  // of the first entry point: "TopkIds 5 log_softmax"
  bool Check() const;                            // that model.tied computes what model.onnx does

  static void ExpectPassed(const converter::CheckReport& check);

 private:
  struct Closer {
    void operator()(tied_model* model) const { tied_model_close(model); }
  };

  std::vector<float> Run(const std::string& kind, const tied_tensor& input) const;

  std::string folder_;
  std::unique_ptr<tied_model, Closer> model_;
};

}  // namespace tied::test

#endif  // TIED_TESTS_CONVERTER_CONVERSION_H_
