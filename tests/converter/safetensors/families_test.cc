// Tests each family of models with the names in its checkpoints, and --table for other models.
#include <cmath>
#include <fstream>

#include "tests/converter/safetensors/model_files.h"

namespace tied::test {
namespace {

const float kRoot = std::sqrt(static_cast<float>(kCols));

struct Checkpoint {
  const char* model_type;
  const char* table;
  float scale = 1;
  const char* bias = nullptr;
  const char* head = nullptr;  // a copy
};
std::ostream& operator<<(std::ostream& out, const Checkpoint& checkpoint) { return out << checkpoint.model_type; }

// Names as save_pretrained() of transformers writes them.
const Checkpoint kCheckpoints[] = {
    {"whisper", "model.decoder.embed_tokens.weight"},
    {"whisper", "model.decoder.embed_tokens.weight", 1, nullptr, "proj_out.weight"},
    {"moonshine", "model.decoder.embed_tokens.weight"},
    {"speech_to_text", "model.decoder.embed_tokens.weight", kRoot},
    {"trocr", "decoder.model.decoder.embed_tokens.weight"},
    {"opt", "model.decoder.embed_tokens.weight"},
    {"phi3", "model.embed_tokens.weight", 1, nullptr, "lm_head.weight"},
    {"phi", "model.embed_tokens.weight", 1, "lm_head.bias", "lm_head.weight"},
    {"smollm3", "model.embed_tokens.weight"},
    {"pegasus", "model.shared.weight", 1, "final_logits_bias"},
    {"bigbird_pegasus", "model.shared.weight", kRoot, "final_logits_bias"},
    {"mt5", "shared.weight", 1, nullptr, "lm_head.weight"},
    {"umt5", "shared.weight"},
    {"nllb-moe", "model.shared.weight", kRoot},
    {"seamless_m4t", "shared.weight", kRoot},
    {"led", "led.shared.weight", 1, "final_logits_bias"},
    {"prophetnet", "prophetnet.word_embeddings.weight"},
    {"qwen3_vl", "model.language_model.embed_tokens.weight", 1, nullptr, "lm_head.weight"},
    {"stablelm", "model.embed_tokens.weight", 1, nullptr, "lm_head.weight"},
    {"gpt2", "transformer.wte.weight"},
    {"gpt2", "wte.weight"},
    {"gptj", "transformer.wte.weight", 1, "lm_head.bias", "lm_head.weight"},
    {"bloom", "transformer.word_embeddings.weight"},
    {"bloom", "word_embeddings.weight"},
    {"falcon", "transformer.word_embeddings.weight"},
    {"gpt_neox", "gpt_neox.embed_in.weight", 1, nullptr, "embed_out.weight"},
    {"mamba", "backbone.embeddings.weight"},
    {"xglm", "model.embed_tokens.weight", kRoot},
    {"biogpt", "biogpt.embed_tokens.weight", kRoot},
    {"vaultgemma", "model.embed_tokens.weight", kRoot},
    {"gemma3n", "model.language_model.embed_tokens.weight", kRoot},
    {"recurrent_gemma", "model.embed_tokens.weight", 3.46875F},  // sqrt(12) in bfloat16, whatever the table is
    {"kosmos-2", "text_model.model.embed_tokens.weight", kRoot},
    {"bert", "bert.embeddings.word_embeddings.weight", 1, "cls.predictions.bias"},
    {"xlm-roberta", "roberta.embeddings.word_embeddings.weight", 1, "lm_head.bias"},
    {"electra", "electra.embeddings.word_embeddings.weight", 1, "generator_lm_head.bias"},
    {"distilbert", "distilbert.embeddings.word_embeddings.weight", 1, "vocab_projector.bias"},
    {"albert", "albert.embeddings.word_embeddings.weight", 1, "predictions.bias"},
    {"modernbert-decoder", "model.embeddings.tok_embeddings.weight", 1, "decoder.bias"},
    {"xlnet", "transformer.word_embedding.weight", 1, "lm_loss.bias"},
    {"ctrl", "transformer.w.weight", 1, "lm_head.bias"},
    {"openai-gpt", "transformer.tokens_embed.weight"},
};

class Families : public SafetensorsTest, public testing::WithParamInterface<Checkpoint> {};

TEST_P(Families, GiveTheirTableItsScaleAndItsBias) {
  const Checkpoint& checkpoint = GetParam();
  std::vector<Tensor> tensors = {TableTensor(checkpoint.table), OtherTable("unrelated.weight")};
  if (checkpoint.bias != nullptr) tensors.push_back(BiasTensor(checkpoint.bias));
  if (checkpoint.head != nullptr) tensors.push_back(TableTensor(checkpoint.head));
  SaveModel({{"model_type", checkpoint.model_type}}, tensors);
  const Model model = ConvertAndCheck(Path("model.safetensors"));
  EXPECT_EQ(model.Info().table_count, 1u);
  EXPECT_FLOAT_EQ(ScaleOf(model), checkpoint.scale);
  // For hidden states of zeros, the logits are the bias.
  std::vector<float> logits = Session(model).Logits(std::vector<float>(kCols));
  EXPECT_EQ(logits, checkpoint.bias == nullptr ? std::vector<float>(kRows) : Bias());
}

INSTANTIATE_TEST_SUITE_P(All, Families, testing::ValuesIn(kCheckpoints));

struct BentLogits {
  Json config;
  float scale;
  float soft_cap;
};
std::ostream& operator<<(std::ostream& out, const BentLogits& bent) { return out << bent.config; }

class LogitsOfFamilies : public SafetensorsTest, public testing::WithParamInterface<BentLogits> {};

TEST_P(LogitsOfFamilies, AreScaledAndCappedAsTheirCodeDoes) {
  SaveModel(GetParam().config,
            {TableTensor("model.embed_tokens.weight"), TableTensor("lm_head.weight"), TableTensor("shared.weight")});
  const Model model = ConvertAndCheck(Path("model.safetensors"));
  EXPECT_FLOAT_EQ(model.Head().scale, GetParam().scale);
  EXPECT_EQ(model.Head().soft_cap, GetParam().soft_cap);
}

INSTANTIATE_TEST_SUITE_P(
    All, LogitsOfFamilies,
    testing::Values(
        BentLogits{{{"model_type", "granite"}, {"logits_scaling", 8.0}, {"embedding_multiplier", 12}}, 0.125F, 0},
        BentLogits{{{"model_type", "granite"}}, 1, 0}, BentLogits{{{"model_type", "cohere"}}, 0.0625F, 0},
        BentLogits{{{"model_type", "cohere2"}, {"logit_scale", 0.25}}, 0.25F, 0},
        BentLogits{{{"model_type", "t5"}}, 1 / kRoot, 0},
        BentLogits{{{"model_type", "t5"}, {"tie_word_embeddings", false}}, 1, 0},
        BentLogits{{{"model_type", "mt5"}}, 1, 0}, BentLogits{{{"model_type", "gemma"}}, 1, 0},
        BentLogits{{{"model_type", "gemma2"}}, 1, 30},
        BentLogits{{{"model_type", "gemma2"}, {"final_logit_softcapping", 5.0}}, 1, 5},
        BentLogits{{{"model_type", "gemma2"}, {"final_logit_softcapping", nullptr}}, 1, 0},
        BentLogits{{{"model_type", "gemma3_text"}}, 1, 0}, BentLogits{{{"model_type", "recurrent_gemma"}}, 1, 30}));

struct Choice {
  converter::TableChoice choice;
  float scale;
  bool bias;
};
std::ostream& operator<<(std::ostream& out, const Choice& choice) { return out << choice.choice.scale; }

class Choices : public SafetensorsTest, public testing::WithParamInterface<Choice> {};

TEST_P(Choices, NeedNoFamilyAndNoConfig) {
  SaveModel(nullptr, {TableTensor("odd.name"), OtherTable("lm_head.weight"), BiasTensor("odd.bias")});
  const Model model = ConvertAndCheck(Path("model.safetensors"), GetParam().choice);
  EXPECT_EQ(model.Info().table_count, 1u);
  EXPECT_FLOAT_EQ(ScaleOf(model), GetParam().scale);
  EXPECT_EQ(Session(model).Logits(std::vector<float>(kCols)), GetParam().bias ? Bias() : std::vector<float>(kRows));
}

INSTANTIATE_TEST_SUITE_P(All, Choices,
                         testing::Values(Choice{{"odd.name", "", ""}, 1, false},
                                         Choice{{"odd.name", "1.5", ""}, 1.5F, false},
                                         Choice{{"odd.name", "sqrt", "odd.bias"}, kRoot, true}));

TEST_F(SafetensorsTest, ChoicesThatCannotBeAreRefused) {
  SaveModel({{"model_type", "mumble"}, {"vocab_size", kRows}},
            {TableTensor("odd.name"),
             BiasTensor("odd.bias"),
             {"vast", "BF16", {kRows + 1, 2}, std::string(4 * kRows + 4, '\0')}});
  const auto refusal = [&](const converter::TableChoice& choice) {
    try {
      ConvertAndCheck(Path("model.safetensors"), choice);
    } catch (const std::exception& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::pair<converter::TableChoice, const char*> refusals[] = {
      {{"", "2", ""}, "need --table"},
      {{"odd", "", ""}, "has no tensor 'odd'; the file has 'odd.name' [37, 12]"},
      {{"odd.name", "two", ""}, "neither a number nor 'sqrt'"},
      {{"odd.name", "0", ""}, "zero or not finite"},
      {{"odd.name", "nan", ""}, "zero or not finite"},
      {{"odd.name", "1e99", ""}, "zero or not finite"},
      {{"odd.name", "", "odd.name"}, "does not have one number for each row"},
  };
  for (const auto& [choice, words] : refusals)
    EXPECT_NE(refusal(choice).find(words), std::string::npos) << refusal(choice);
  // For an unknown family, the message names the option and its possible values.
  EXPECT_NE(refusal({}).find("config.json: model_type 'mumble' is unknown"), std::string::npos) << refusal({});
  EXPECT_NE(refusal({}).find("--table NAME [--scale X] [--bias NAME] [--logit-scale X] [--soft-cap X]"),
            std::string::npos);
  EXPECT_NE(refusal({}).find("the file has 'odd.name' [37, 12]"), std::string::npos) << refusal({});
  EXPECT_EQ(refusal({}).find("vast"), std::string::npos);
  std::ofstream(Path("config.json")) << "{}";
  EXPECT_NE(refusal({}).find("'vast' [38, 2], 'odd.name' [37, 12]"), std::string::npos) << refusal({});
  std::remove(Path("config.json").c_str());
  EXPECT_NE(refusal({}).find("has no config.json beside it"), std::string::npos) << refusal({});
}

}  // namespace
}  // namespace tied::test
