"""Generates greedily with whole exports under ONNX Runtime, and with the results of tied-convert split."""

import numpy as np
import onnxruntime

from families import COLS, ROWS

STEPS = 5
PROMPT = np.array([[5, 17, 80, 3, 41]])
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64,
         "tensor(int32)": np.int32, "tensor(bool)": bool}


def session(path, optimise=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feeds_of(model, given):
    """Runs a model. `given` may hold more inputs than the model has; missing caches are empty."""
    feeds = {}
    for value in model.get_inputs():
        kind = TYPES[value.type]
        if value.name in given:
            feeds[value.name] = given[value.name].astype(kind)
        elif value.name.startswith("past"):
            shape = [size if isinstance(size, int) else int("batch" in size) for size in value.shape]
            feeds[value.name] = np.zeros(shape, kind)
        else:
            raise KeyError(f"nothing to give for the input {value.name}")
    return feeds


def run(model, given):
    """Returns all outputs by name."""
    names = [value.name for value in model.get_outputs()]
    return dict(zip(names, model.run(names, feeds_of(model, given))))


def example_feeds(model, seed):
    """Returns calibration data."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, ROWS, PROMPT.shape)
    state = random.normal(0, 1, (*ids.shape, COLS))
    ones = np.ones_like(ids)
    return feeds_of(model, {"input_ids": ids, "attention_mask": ones, "position_ids": np.arange(ids.size)[None],
                            "encoder_hidden_states": state, "encoder_attention_mask": ones, "pre_logits": state,
                            "use_cache_branch": np.array([False]), "use_lm_head": np.array(True)})


def audio_or_ids(encoder):
    """Returns the encoder's inputs: token ids, or the spectrum of half a minute of sound."""
    for value in encoder.get_inputs():
        if value.name == "input_features":
            return {"input_features": np.random.default_rng(1).normal(0, 1, (1, value.shape[1], 3000))}
    return {"attention_mask": np.ones_like(PROMPT)}


class Generator:
    """sessions: encoder (may be missing), decoder, and past (a decoder for the steps after the first; may be missing).
    table: a tied.Session; None for whole exports."""

    def __init__(self, sessions, table=None):
        self.sessions, self.table = sessions, table
        self.hidden = []

    def given(self, ids):
        given = {"input_ids": ids, "decoder_input_ids": ids, "tokens": ids}
        if self.table is not None:
            given["inputs_embeds"] = given["decoder_inputs_embeds"] = self.table.embed(ids)
        return given

    def encode(self):
        if "encoder" not in self.sessions:
            return {}
        encoder = self.sessions["encoder"]
        state = run(encoder, {**self.given(PROMPT), **audio_or_ids(encoder)})["last_hidden_state"]
        return {"encoder_hidden_states": state, "encoder_attention_mask": np.ones(PROMPT.shape)}

    def step(self, ids, length, cache):
        model = self.sessions["past"] if length and "past" in self.sessions else self.sessions["decoder"]
        total = length + ids.shape[1]
        outputs = run(model, {**self.given(ids), **cache, "use_cache_branch": np.array([length > 0]),
                              "attention_mask": np.ones((1, total)), "position_ids": np.arange(length, total)[None]})
        # With a cache, merged decoders return nothing for the encoder's part, so the first result is kept.
        cache |= {name.replace("present", "past_key_values"): value for name, value in outputs.items()
                  if name.startswith("present") and value.size}
        return outputs

    def generate(self, tokens=None):
        """Returns the tokens, and the logits of each position. tokens: use these instead of the model's choices."""
        cache = self.encode()
        ids = PROMPT[:, :1] if "encoder" in self.sessions else PROMPT
        length, chosen, rows = 0, [], []
        remembers = "past" in self.sessions or any(
            value.name.startswith("past") for value in self.sessions["decoder"].get_inputs())
        for step in range(STEPS):
            outputs = self.step(ids, length, cache)
            length += ids.shape[1] if remembers else 0
            if self.table is not None:
                rows.append(outputs["hidden"][0].astype(np.float32))
            else:
                logits = outputs.get("logits", next(iter(outputs.values())))  # or whatever they are called
                rows.append(logits[0].astype(np.float32))
                chosen.append(int(rows[-1][-1].argmax()))
            following = np.array([[tokens[step] if tokens else chosen[-1]]])
            ids = following if remembers else np.concatenate([ids, following], axis=1)
        rows = np.concatenate(rows)
        return chosen, rows if self.table is None else self.table.logits(np.ascontiguousarray(rows))
