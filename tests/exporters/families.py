"""Tiny models of common families: the code of transformers with random weights."""

ROWS, COLS = 160, 64
TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
DECODER = {"vocab_size": ROWS, "hidden_size": COLS, "intermediate_size": 128, "num_hidden_layers": 1,
           "num_attention_heads": 4, "max_position_embeddings": 64, "tie_word_embeddings": True, **TOKENS}
GROUPED = {**DECODER, "num_key_value_heads": 2, "head_dim": 16}
TRANSLATOR = {"vocab_size": ROWS, "d_model": COLS, "encoder_layers": 1, "decoder_layers": 1,
              "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 128,
              "decoder_ffn_dim": 128,
              "max_position_embeddings": 64, "tie_word_embeddings": True, "scale_embedding": True,
              "decoder_start_token_id": 2, "forced_bos_token_id": None, "forced_eos_token_id": None, **TOKENS}
T5 = {"vocab_size": ROWS, "d_model": COLS, "d_kv": 16, "d_ff": 128, "num_layers": 1, "num_heads": 4,
      "tie_word_embeddings": True, "decoder_start_token_id": 0, **TOKENS}

# Name in docs/converting.md: (model_type of transformers, configuration).
DECODERS = {
    "Llama": ("llama", GROUPED),
    "Mistral": ("mistral", GROUPED),
    "Qwen 2": ("qwen2", GROUPED),
    "Qwen 3": ("qwen3", GROUPED),
    "Qwen 3 MoE": ("qwen3_moe", {**GROUPED, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}),
    "Phi": ("phi", DECODER),
    "Phi-3": ("phi3", {**GROUPED, "original_max_position_embeddings": 64}),
    "SmolLM3": ("smollm3", {**GROUPED, "num_hidden_layers": 2}),
    "Gemma": ("gemma", GROUPED),
    "Gemma 2": ("gemma2", {**GROUPED, "query_pre_attn_scalar": 16, "final_logit_softcapping": 3.0}),
    "Gemma 3": ("gemma3_text", {**GROUPED, "query_pre_attn_scalar": 16}),
    "GPT-2": ("gpt2", {"vocab_size": ROWS, "n_embd": COLS, "n_layer": 1, "n_head": 4, "n_positions": 64, **TOKENS}),
    "GPT BigCode": ("gpt_bigcode", {"vocab_size": ROWS, "n_embd": COLS, "n_layer": 1, "n_head": 4, "n_positions": 64,
                                    **TOKENS}),
    "GPT-Neo": ("gpt_neo", {"vocab_size": ROWS, "hidden_size": COLS, "num_layers": 2, "num_heads": 4,
                            "attention_types": [[["global", "local"], 1]], "max_position_embeddings": 64, **TOKENS}),
    "GPT-NeoX": ("gpt_neox", DECODER),
    "OPT": ("opt", {**DECODER, "ffn_dim": 128, "word_embed_proj_dim": COLS}),
    "BLOOM": ("bloom", {"vocab_size": ROWS, "hidden_size": COLS, "n_layer": 1, "n_head": 4, **TOKENS}),
    "Falcon": ("falcon", {"vocab_size": ROWS, "hidden_size": COLS, "num_hidden_layers": 1, "num_attention_heads": 4,
                          "max_position_embeddings": 64, "tie_word_embeddings": True, **TOKENS}),
    "MPT": ("mpt", {"vocab_size": ROWS, "d_model": COLS, "n_heads": 4, "n_layers": 1, "max_seq_len": 64, **TOKENS}),
    "Granite": ("granite", {**GROUPED, "logits_scaling": 8.0, "embedding_multiplier": 12.0,
                            "residual_multiplier": 0.22}),
    "Cohere": ("cohere", {**GROUPED, "logit_scale": 0.0625}),
    "StableLM": ("stablelm", GROUPED),
    "OLMo": ("olmo", GROUPED),
    "OLMo 2": ("olmo2", GROUPED),
    "Helium": ("helium", GROUPED),
    "GLM": ("glm", GROUPED),
    "Nemotron": ("nemotron", GROUPED),
    "Arcee": ("arcee", GROUPED),
}
TRANSLATORS = {
    "T5": ("t5", T5),
    "T5 (gated, untied scale)": ("t5", {**T5, "feed_forward_proj": "gated-gelu"}),
    "mT5": ("mt5", T5),
    "LongT5": ("longt5", {**T5, "local_radius": 8}),
    "BART": ("bart", {**TRANSLATOR, "scale_embedding": False}),
    "mBART": ("mbart", TRANSLATOR),
    "Marian": ("marian", {**TRANSLATOR, "decoder_vocab_size": ROWS}),
    "Pegasus": ("pegasus", TRANSLATOR),
    "M2M100, NLLB": ("m2m_100", TRANSLATOR),
    "BlenderBot": ("blenderbot", TRANSLATOR),
    "BlenderBot Small": ("blenderbot-small", TRANSLATOR),
    "Whisper": ("whisper", {**TRANSLATOR, "scale_embedding": False, "num_mel_bins": 16, "max_source_positions": 1500,
                            "max_target_positions": 64, "begin_suppress_tokens": None, "suppress_tokens": None}),
}


# onnxruntime-genai's builder: {name: (precision, extra options)}
GENAI = {
    "fp32": ("fp32", {}),
    "fp32, not shared": ("fp32", {"shared_embeddings": False}),
    "fp16": ("fp16", {}),
    "int4": ("int4", {}),
    "int4 asymmetric, block 64": ("int4", {"int4_is_symmetric": False, "int4_block_size": 64}),
    "int4 rtn": ("int4", {"int4_algo_config": "rtn"}),
    "int4 rtn, int8 head": ("int4", {"int4_algo_config": "rtn_last"}),
    "int4 k_quant, int8 head": ("int4", {"int4_algo_config": "k_quant_last"}),
    "int4, float head": ("int4", {"int4_nodes_to_exclude": ["/lm_head/MatMul"], "shared_embeddings": False}),
}
GENAI_FAMILIES = ["Llama", "Mistral", "Qwen 2", "Qwen 3", "Phi-3", "SmolLM3", "Gemma", "Gemma 2", "Gemma 3", "Granite",
                  "OLMo"]


def randomise(model):
    """Makes weights large enough that tokens differ, and sets all other parameters to non-default values."""
    import torch

    generator = torch.Generator().manual_seed(7)
    for name, parameter in sorted({**dict(model.named_parameters()), **dict(model.named_buffers())}.items()):
        if name.endswith("final_logits_bias"):
            parameter.data.normal_(0, 0.5, generator=generator)
        elif name.endswith(("inv_freq", "embed_positions.weights")) or not parameter.is_floating_point():
            continue
        elif parameter.dim() > 1:
            table = parameter.shape[0] == ROWS
            parameter.data.normal_(0, (0.3 if table else 2) / parameter.shape[-1] ** 0.5, generator=generator)
        elif name in dict(model.named_parameters()):
            parameter.data.add_(torch.empty_like(parameter).normal_(0, 0.1, generator=generator))


def make(family):
    """A model of transformers."""
    import torch
    import transformers

    decoder = family in DECODERS
    model_type, options = DECODERS[family] if decoder else TRANSLATORS[family]
    config = transformers.AutoConfig.for_model(model_type, **options)
    torch.manual_seed(3)
    auto = transformers.AutoModelForCausalLM if decoder else (
        transformers.AutoModelForSpeechSeq2Seq if model_type == "whisper" else transformers.AutoModelForSeq2SeqLM)
    model = auto.from_config(config).eval()
    randomise(model)
    return model
