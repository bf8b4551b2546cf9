// Source of each row: transformers 4.57.6 and 5.24.0 (models/*/modeling_*.py for _tied_weights_keys, embed_scale and
// operations on logits; configuration_*.py for defaults).
#include "converter/safetensors/families.h"

#include <algorithm>

namespace tied::converter {

namespace {

constexpr bool kTied = true;
constexpr bool kUntied = false;

constexpr Factor kOne = {};
constexpr Factor kRootIfAsked = {Factor::Kind::kRootIf, "scale_embedding", 0};
constexpr Factor kRootUnlessDenied = {Factor::Kind::kRootIf, "scale_embedding", 1};
constexpr Factor kRootAsTable = {Factor::Kind::kRootAsTable};

constexpr Factor kMultiplied = {Factor::Kind::kTimes, "embedding_multiplier", 1};
constexpr Factor kInverseRootIfTied = {Factor::Kind::kInverseRootIfTied};
constexpr Factor CappedAt(double otherwise) { return {Factor::Kind::kTimes, "final_logit_softcapping", otherwise}; }

constexpr TensorNames kDecoder = {"embed_tokens.weight", "lm_head.weight", "lm_head.bias", ""};
constexpr TensorNames kSeq2Seq = {"shared.weight decoder.embed_tokens.weight encoder.embed_tokens.weight",
                                  "lm_head.weight", "final_logits_bias lm_head.bias", "encoder.embed_tokens.weight"};
constexpr TensorNames kInDecoder = {"decoder.embed_tokens.weight", "lm_head.weight", "lm_head.bias", ""};
constexpr TensorNames kSpeech = {"decoder.embed_tokens.weight", "proj_out.weight", "proj_out.bias", ""};
constexpr TensorNames kWte = {"wte.weight", "lm_head.weight", "lm_head.bias", ""};
constexpr TensorNames kWords = {"word_embeddings.weight", "lm_head.weight", "lm_head.bias", ""};
constexpr TensorNames kBackbone = {"embeddings.weight", "lm_head.weight", "lm_head.bias", ""};
constexpr TensorNames kBert = {"embeddings.word_embeddings.weight", "cls.predictions.decoder.weight",
                               "cls.predictions.bias cls.predictions.decoder.bias", ""};
constexpr TensorNames kRoberta = {"embeddings.word_embeddings.weight", "lm_head.decoder.weight",
                                  "lm_head.bias lm_head.decoder.bias", ""};
constexpr TensorNames kElectra = {"embeddings.word_embeddings.weight", "generator_lm_head.weight",
                                  "generator_lm_head.bias", ""};
constexpr TensorNames kModernBert = {"embeddings.tok_embeddings.weight", "decoder.weight", "decoder.bias", ""};

constexpr Family kFamilies[] = {
    // Translation and other models with an encoder.
    {"m2m_100 nllb-moe plbart bigbird_pegasus pegasus_x", kSeq2Seq, kTied, kRootUnlessDenied},
    {"bart mbart marian pegasus blenderbot blenderbot-small mvp", kSeq2Seq, kTied, kRootIfAsked},
    {"led", kSeq2Seq, kTied, kOne},
    {"t5 umt5 longt5 switch_transformers udop pop2piano", kSeq2Seq, kTied, kOne, kInverseRootIfTied},
    {"mt5", kSeq2Seq, kUntied, kOne, kInverseRootIfTied},
    {"seamless_m4t seamless_m4t_v2",
     {"shared.weight text_decoder.embed_tokens.weight", "lm_head.weight", "lm_head.bias",
      "text_encoder.embed_tokens.weight"},
     kTied,
     kRootUnlessDenied},
    {"prophetnet", kWords, kTied, kOne},
    // Speech and pages to text. Whisper has scale_embedding in its config but does not scale.
    {"whisper moonshine canary", kSpeech, kTied, kOne},
    {"moonshine_streaming cohere_asr", kSpeech, kUntied, kOne},
    {"speech_to_text", kInDecoder, kTied, kRootUnlessDenied},
    {"speecht5",
     {"decoder.prenet.embed_tokens.weight", "text_decoder_postnet.lm_head.weight", "", ""},
     kTied,
     kRootIfAsked},
    {"trocr", {"decoder.embed_tokens.weight", "output_projection.weight", "", ""}, kTied, kRootIfAsked},
    {"pix2struct_text_model", kDecoder, kUntied, kOne},
    {"kosmos_2_text_model kosmos_2_5_text_model kosmos-2 kosmos-2.5", kDecoder, kTied, kRootUnlessDenied},
    {"git", {"embeddings.word_embeddings.weight", "output.weight", "output.bias", ""}, kUntied, kOne},
    // Decoders that are tied unless config.json says otherwise.
    {"smollm3 starcoder2 lfm2 lfm2_moe lfm3 ernie4_5 ernie4_5_moe ernie4_5_vl_moe ernie4_5_vl_moe_text jetmoe "
     "lara_mini paddleocr_vl paddleocr_vl_text youtu zamba zamba2 zaya hunyuan_vl hunyuan_vl_text",
     kDecoder, kTied, kOne},
    {"opt", kInDecoder, kTied, kOne},
    {"xglm", kDecoder, kTied, kRootUnlessDenied},
    {"biogpt", {"embed_tokens.weight", "output_projection.weight", "", ""}, kTied, kRootUnlessDenied},
    {"gpt2 gpt_bigcode gpt_neo mpt", kWte, kTied, kOne},
    {"bloom falcon", kWords, kTied, kOne},
    {"mamba falcon_mamba", kBackbone, kTied, kOne},
    {"openai-gpt", {"tokens_embed.weight", "lm_head.weight", "", ""}, kTied, kOne},
    {"ctrl", {"w.weight", "lm_head.weight", "lm_head.bias", ""}, kTied, kOne},
    {"xlnet", {"word_embedding.weight", "lm_loss.weight", "lm_loss.bias", ""}, kTied, kOne},
    {"gpt_neox_japanese", {"embed_in.weight", "embed_out.weight", "", ""}, kTied, kOne},
    {"modernbert-decoder modernbert", kModernBert, kTied, kOne},
    // Gemma computes the root in the type of the model.
    {"gemma", kDecoder, kTied, kRootAsTable},
    {"gemma2 vaultgemma gemma3n gemma3n_text", kDecoder, kTied, kRootAsTable, kOne, CappedAt(30)},
    {"gemma3 gemma3_text gemma4 gemma4_text gemma4_unified gemma4_unified_text", kDecoder, kTied, kRootAsTable, kOne,
     CappedAt(0)},
    {"t5gemma t5_gemma_module",
     {"decoder.embed_tokens.weight", "lm_head.out_proj.weight", "", "encoder.embed_tokens.weight"},
     kTied,
     kRootAsTable,
     kOne,
     CappedAt(30)},
    {"recurrent_gemma",
     kDecoder,
     kTied,
     {Factor::Kind::kRootAsBFloat16},
     kOne,
     {Factor::Kind::kTimes, "logits_soft_cap", 30}},
    // Decoders that multiply logits with a number of config.json.
    {"cohere cohere2 cohere2_moe", kDecoder, kTied, kOne, {Factor::Kind::kTimes, "logit_scale", 0.0625}},
    {"granite granitemoe granitemoehybrid granitemoeshared granitemoe_swa",
     kDecoder,
     kUntied,
     kMultiplied,
     {Factor::Kind::kOver, "logits_scaling", 1}},
    {"granite_swa", kDecoder, kTied, kMultiplied, {Factor::Kind::kOver, "logits_scaling", 1}},
    {"hyperclovax", kDecoder, kUntied, kMultiplied, {Factor::Kind::kTimes, "logits_scaling", 1}},
    {"falcon_h1", kDecoder, kUntied, kMultiplied, {Factor::Kind::kTimes, "lm_head_multiplier", 1}},
    {"nanochat", kDecoder, kUntied, kOne, kOne, CappedAt(15)},
    // Decoders that are tied if config.json says so.
    {"llama mistral mixtral ministral ministral3 mistral4 qwen2 qwen2_moe qwen2_vl qwen2_vl_text qwen2_5_vl "
     "qwen2_5_vl_text qwen2_5_omni_text qwen3 qwen3_moe qwen3_next qwen3_vl qwen3_vl_text qwen3_vl_moe "
     "qwen3_vl_moe_text qwen3_5 qwen3_5_text qwen3_5_moe qwen3_5_moe_text qwen3_omni_moe_text phi phi3 "
     "phi4_multimodal phimoe stablelm olmo olmo2 olmo3 olmoe olmo_hybrid flex_olmo glm glm4 glm4_moe glm4_moe_lite "
     "glm4v glm4v_text glm4v_moe glm4v_moe_text glm_moe_dsa glm_ocr glm_ocr_text deepseek_v2 deepseek_v3 deepseek_v32 "
     "deepseek_v4 gpt_oss helium exaone4 exaone_moe hunyuan_v1_dense hunyuan_v1_moe jamba bamba bitnet apertus arcee "
     "afmoe aria_text chameleon cwm diffllama doge dots1 emu3_text_model fuyu jais2 llama4_text llama4 longcat_flash "
     "mellum mimo_v2_flash minimax minimax_m2 mllama_text_model nemotron persimmon seed_oss solar_open "
     "voxtral_realtime_text",
     kDecoder, kUntied, kOne},
    {"gpt_neox", {"embed_in.weight", "embed_out.weight lm_head.weight", "", ""}, kUntied, kOne},
    {"gptj codegen dbrx", kWte, kUntied, kOne},
    {"mamba2", kBackbone, kUntied, kOne},
    // Masked language models. The transform between encoder and table is part of the encoder.
    {"bert megatron-bert ernie layoutlm nystromformer squeezebert yoso mra tapas lxmert visual_bert fnet roc_bert "
     "roformer",
     kBert, kTied, kOne},
    {"big_bird", kBert, kTied, {Factor::Kind::kRootIf, "rescale_embeddings", 0}},
    {"roberta camembert xlm-roberta xlm-roberta-xl xmod roberta-prelayernorm data2vec-text longformer mpnet "
     "bert-generation",
     kRoberta, kTied, kOne},
    {"electra convbert", kElectra, kTied, kOne},
    {"distilbert",
     {"embeddings.word_embeddings.weight", "vocab_projector.weight", "vocab_projector.bias", ""},
     kTied,
     kOne},
    {"albert",
     {"embeddings.word_embeddings.weight", "predictions.decoder.weight", "predictions.bias predictions.decoder.bias",
      ""},
     kTied,
     kOne},
    {"funnel", {"embeddings.word_embeddings.weight", "lm_head.weight", "lm_head.bias", ""}, kTied, kOne},
};

}  // namespace

std::vector<std::string> NamesIn(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const size_t length = std::min(list.find(' '), list.size());
    names.emplace_back(list.substr(0, length));
    list.remove_prefix(std::min(length + 1, list.size()));
  }
  return names;
}

const Family* FindFamily(const std::string& model_type) {
  for (const Family& family : kFamilies) {
    const std::vector<std::string> types = NamesIn(family.model_types);
    if (std::find(types.begin(), types.end(), model_type) != types.end()) return &family;
  }
  return nullptr;
}

}  // namespace tied::converter
