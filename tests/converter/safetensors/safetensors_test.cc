// Models in the safetensors format: their table, scale and bias, and errors.
#include "converter/safetensors/safetensors.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "tests/converter/safetensors/model_files.h"

namespace tied::test {
namespace {

const float kRoot = std::sqrt(static_cast<float>(kCols));

struct Good {
  const char* name;
  Json config;
  std::vector<Tensor> tensors;
  float scale;
};
std::ostream& operator<<(std::ostream& out, const Good& good) { return out << good.name; }

const Good kGood[] = {
    {"M2m100", {{"model_type", "m2m_100"}, {"scale_embedding", true}}, {TableTensor("model.shared.weight")}, kRoot},
    {"M2m100ScalesUnlessDenied", {{"model_type", "m2m_100"}}, {TableTensor("model.shared.weight")}, kRoot},
    {"M2m100Denied",
     {{"model_type", "m2m_100"}, {"scale_embedding", false}},
     {TableTensor("model.decoder.embed_tokens.weight")},
     1},
    {"BartDoesNotUnlessAsked", {{"model_type", "bart"}}, {TableTensor("model.shared.weight")}, 1},
    {"MbartWithABias",
     {{"model_type", "mbart"}, {"scale_embedding", false}},
     {TableTensor("model.shared.weight"), BiasTensor()},
     1},
    {"Marian", {{"model_type", "marian"}, {"scale_embedding", true}}, {TableTensor("model.shared.weight")}, kRoot},
    {"MarianWithACopy",
     {{"model_type", "marian"}},
     {TableTensor("model.decoder.embed_tokens.weight"), TableTensor("model.encoder.embed_tokens.weight")},
     1},
    {"T5WithACopy", {{"model_type", "t5"}}, {TableTensor("shared.weight"), TableTensor("lm_head.weight")}, 1},
    {"Gemma", {{"model_type", "gemma"}}, {TableTensor("model.embed_tokens.weight")}, kRoot},
    {"Gemma3Text",
     {{"model_type", "gemma3"}, {"text_config", {{"model_type", "gemma3_text"}}}},
     {TableTensor("language_model.model.embed_tokens.weight")},
     kRoot},
    {"Gemma3WithNewNames",
     {{"model_type", "gemma3"}, {"text_config", {{"hidden_size", kCols}}}},
     {TableTensor("model.language_model.embed_tokens.weight"), TableTensor("lm_head.weight")},
     kRoot},
    {"Gemma2IgnoresScaleEmbedding",
     {{"model_type", "gemma2"}, {"scale_embedding", false}, {"final_logit_softcapping", 30.0}},
     {TableTensor("model.embed_tokens.weight")},
     kRoot},
    {"NestedLlamaWhoseTieIsOutside",
     {{"model_type", "llava"},
      {"tie_word_embeddings", true},
      {"text_config", {{"model_type", "llama"}, {"tie_word_embeddings", false}}}},
     {TableTensor("language_model.model.embed_tokens.weight")},
     1},
    {"T5WhoseEncoderHasTheName", {{"model_type", "t5"}}, {TableTensor("encoder.embed_tokens.weight")}, 1},
    {"Qwen2",
     {{"model_type", "qwen2"}, {"tie_word_embeddings", true}},
     {{"model.norm.weight", "BF16", {2}, "abcd"}, TableTensor("model.embed_tokens.weight")},
     1},
    {"LlamaWhoseCopyIsTheSame",
     {{"model_type", "llama"}, {"tie_word_embeddings", false}},
     {TableTensor("model.embed_tokens.weight"), TableTensor("lm_head.weight")},
     1},
};

class SafetensorsModels : public SafetensorsTest, public testing::WithParamInterface<Good> {};

TEST_P(SafetensorsModels, GiveOneTableWithItsScale) {
  SaveModel(GetParam().config, GetParam().tensors);
  const Model model = ConvertAndCheck(Path("model.safetensors"));
  EXPECT_EQ(model.Info().table_count, 1u);
  EXPECT_FLOAT_EQ(ScaleOf(model), GetParam().scale);
  ConvertKeeping("5 30-36", converter::NumberFormat::kFloat32, false, "model.safetensors");
  EXPECT_FLOAT_EQ(ScaleOf(Model::Open(Path("kept.tied"))), GetParam().scale);
}

INSTANTIATE_TEST_SUITE_P(All, SafetensorsModels, testing::ValuesIn(kGood),
                         [](const auto& good) { return std::string(good.param.name); });

TEST_F(SafetensorsTest, GemmaRoundsItsScaleToTheTypeOfTheTable) {
  const std::tuple<const char*, const char*, float> kTypes[] = {// with 1 in it; sqrt(12) = 3.4641 in it
                                                                {"BF16", "\x80\x3f", 3.46875f},
                                                                {"F16", "\x00\x3c", 3.46484375f}};
  for (const auto& [dtype, one, root] : kTypes) {
    std::string table;
    for (int i = 0; i < kRows * kCols; ++i) table.append(one, 2);
    SaveModel({{"model_type", "gemma"}}, {{"model.embed_tokens.weight", dtype, {kRows, kCols}, table}});
    Session session(ConvertAndCheck(Path("model.safetensors")));
    EXPECT_EQ(session.Embed(std::vector<int64_t>{5})[1], root);
  }
}

TEST_F(SafetensorsTest, ShardsAreFoundThroughTheirIndexOrTheirFolder) {
  SaveModel({{"model_type", "t5"}}, {});
  std::filesystem::remove(Path("model.safetensors"));
  SaveShard(Path("one.safetensors"), {TableTensor("shared.weight")});
  SaveShard(Path("two.safetensors"), {BiasTensor()});
  const Json index = {{"weight_map", {{"shared.weight", "one.safetensors"}, {"final_logits_bias", "two.safetensors"}}}};
  std::ofstream(Path("model.safetensors.index.json")) << index;
  ConvertAndCheck(Path("model.safetensors.index.json"));
  ConvertAndCheck(Folder());
  EXPECT_EQ(converter::FilesOfSafetensors(Folder()),
            (std::set<std::string>{Path("config.json"), Path("model.safetensors.index.json"), Path("one.safetensors"),
                                   Path("two.safetensors")}));
}

struct Bad {
  const char* name;
  Json config;
  std::vector<Tensor> tensors;
  const char* words;
};
std::ostream& operator<<(std::ostream& out, const Bad& bad) { return out << bad.name; }

const Tensor kPlain = TableTensor("model.embed_tokens.weight");
const Bad kBad[] = {
    {"UntiedByConfig", {{"model_type", "llama"}}, {kPlain}, "tie_word_embeddings is missing, which means false"},
    {"UntiedByValue", {{"model_type", "gemma"}}, {kPlain, OtherTable("lm_head.weight")}, "are not tied"},
    {"UnknownFamily", {{"model_type", "mumble"}}, {kPlain}, "model_type 'mumble' is unknown"},
    {"WrongTypeInConfig", {{"model_type", 3}}, {kPlain}, "'model_type' has an unexpected type"},
    {"NoTable", {{"model_type", "gemma"}}, {BiasTensor()}, "no tensor has the name of an embedding"},
    {"IntegerTable",
     {{"model_type", "gemma"}},
     {{"model.embed_tokens.weight", "I32", {2, 2}, std::string(16, '\0')}},
     "has dtype I32; only F32, F16 and BF16"},
    {"Float8Table",
     {{"model_type", "qwen3"}, {"tie_word_embeddings", true}},
     {{"model.embed_tokens.weight", "F8_E4M3", {2, 2}, "abcd"}},
     "has dtype F8_E4M3; only F32, F16 and BF16"},
    {"TableOfOneDimension", {{"model_type", "gemma"}}, {{"lm_head.weight", "F32", {1}, "abcd"}}, "is not a matrix"},
    {"UntiedT5",
     {{"model_type", "t5"}, {"tie_word_embeddings", false}},
     {TableTensor("shared.weight"), OtherTable("lm_head.weight")},
     "--allow-untied keeps both"},
    {"EncoderWithAnotherTable",
     {{"model_type", "marian"}, {"share_encoder_decoder_embeddings", false}},
     {TableTensor("model.decoder.embed_tokens.weight"), OtherTable("model.encoder.embed_tokens.weight")},
     "the encoder has a different embedding"},
    {"EncoderWithASmallerTable",
     {{"model_type", "marian"}, {"share_encoder_decoder_embeddings", false}},
     {TableTensor("model.decoder.embed_tokens.weight"), {"model.encoder.embed_tokens.weight", "F32", {1, 1}, "abcd"}},
     "the encoder has a different embedding"},
    {"ShapeThatDoesNotFit",
     {{"model_type", "gemma"}},
     {{"model.embed_tokens.weight", "F32", {kRows, kCols + 1}, Bytes(Table())}},
     "its shape needs"},
    {"NegativeDimension",
     {{"model_type", "gemma"}},
     {{"model.embed_tokens.weight", "F32", {-kRows, kCols}, Bytes(Table())}},
     "shape and data_offsets must be integers"},
    {"ShortBias",
     {{"model_type", "mbart"}},
     {TableTensor("model.shared.weight"), {"final_logits_bias", "F32", {1, 2}, std::string(8, '\1')}},
     "does not have one number for each row"},
};

class SafetensorsRefusals : public SafetensorsTest, public testing::WithParamInterface<Bad> {};

TEST_P(SafetensorsRefusals, SayWhy) {
  SaveModel(GetParam().config, GetParam().tensors);
  EXPECT_NE(Refusal(Path("model.safetensors")).find(GetParam().words), std::string::npos)
      << Refusal(Path("model.safetensors"));
}

INSTANTIATE_TEST_SUITE_P(All, SafetensorsRefusals, testing::ValuesIn(kBad),
                         [](const auto& bad) { return std::string(bad.param.name); });

TEST_F(SafetensorsTest, DamagedFilesAreRefused) {
  const auto refusal = [&](const std::string& bytes) {
    std::ofstream(Path("model.safetensors"), std::ios::binary) << bytes;
    return Refusal(Path("model.safetensors"));
  };
  SaveModel({{"model_type", "gemma"}}, {kPlain});
  std::ifstream file(Path("model.safetensors"), std::ios::binary);
  const std::string good(std::istreambuf_iterator<char>(file), {});
  const std::string without_shape = R"({"a": {"data_offsets": [0, 0]}})";
  EXPECT_NE(refusal(std::string({static_cast<char>(without_shape.size()), 0, 0, 0, 0, 0, 0, 0}) + without_shape)
                .find("'a': has no dtype, shape"),
            std::string::npos);
  EXPECT_NE(
      refusal(std::string("\x7f\0\0\0\0\0\0\0", 8) + R"({"a": )" + std::string(121, '[')).find("nested too deeply"),
      std::string::npos);
  EXPECT_NE(refusal("abc").find("too short"), std::string::npos);
  EXPECT_NE(refusal(std::string(8, '\xff') + "{}").find("header would have"), std::string::npos);
  EXPECT_NE(refusal(good.substr(0, 40)).find("header would have"), std::string::npos);
  EXPECT_NE(refusal(good.substr(0, good.size() - 1)).find("beyond the end"), std::string::npos);
  EXPECT_NE(refusal(good.substr(0, 8) + std::string(good.size() - 8, 'x')).find("does not start with '{'"),
            std::string::npos);
}

// In quadratic time, these would take a minute.
TEST_F(SafetensorsTest, HeadersTakeTimeInProportionToTheirLength) {
  std::string header = R"({"a": {)";
  for (int i = 0; i < 100'000; ++i) header += '"' + std::to_string(i) + R"(":{},)";
  header += R"("deep \" [[[[[[[[[[[[[[[[[[[[[": 0}})";
  const auto length = static_cast<uint64_t>(header.size());
  std::ofstream(Path("model.safetensors"), std::ios::binary)
      << std::string(reinterpret_cast<const char*>(&length), sizeof length) << header;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_NE(Refusal(Path("model.safetensors")).find("'a': has no dtype, shape"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST_F(SafetensorsTest, AnIndexMustNotLeaveItsFolder) {
  std::ofstream(Path("config.json")) << Json{{"model_type", "gemma"}};
  std::ofstream(Path("model.safetensors.index.json")) << Json{{"weight_map", {{"a", "../other.safetensors"}}}};
  EXPECT_NE(Refusal(Path("model.safetensors.index.json")).find("is not a file name"), std::string::npos);
}

}  // namespace
}  // namespace tied::test
