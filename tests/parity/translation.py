"""Translates greedily with whole exports, and with what tied.split() makes of them."""

import numpy as np
import onnx
import tied

import tiny_translator as tiny
from runners import run_session, session

SOURCE = np.array([[5, 17, 80, 3, 41, 2]])
STEPS = 6


class Whole:
    """The exports as they are."""

    def __init__(self, folder):
        self.encoder, self.decoder = session(folder / "encoder.onnx"), session(folder / "decoder.onnx")

    def encode(self, ids):
        return run_session(self.encoder, None, {"input_ids": ids})[0]

    def decode(self, ids, feeds):
        return run_session(self.decoder, None, {"input_ids": ids, "decoder_input_ids": ids, **feeds})


class Split(Whole):
    """Embeddings and logits from tied, the rest from the exports without the table."""

    def __init__(self, folder):
        super().__init__(folder)
        self.tied = tied.Session(tied.Model(folder / "model.tied"))
        self.hidden = []  # of each step, the last token's

    def feeds(self, ids):
        return {"input_ids": ids, "decoder_input_ids": ids, "inputs_embeds": self.tied.embed(ids)}

    def encode(self, ids):
        return run_session(self.encoder, None, self.feeds(ids))[0]

    def decode(self, ids, feeds):
        names = [output.name for output in self.decoder.get_outputs()]
        hidden, *rest = run_session(self.decoder, ["hidden", *names[1:]], {**self.feeds(ids), **feeds})
        hidden = hidden.astype(np.float32)
        self.hidden.append(hidden[0, -1])
        return [self.tied.logits(hidden), *rest]


def translate(model, merged, given=()):
    """Returns the greedy tokens, and the logits of each step. given: tokens to use instead of the model's choices."""
    encoded = model.encode(SOURCE)
    past = np.zeros((1, 0, tiny.COLS), np.float32)
    tokens, chosen, all_logits, cache = [2], [2], [], {"past_key": past, "past_value": past}
    for step in range(STEPS):
        feeds = {"encoder_hidden_states": encoded}
        if merged:
            feeds |= {"use_cache_branch": np.array([step > 0]), **cache}
        ids = np.array([tokens[-1:] if merged else tokens])
        logits, key, values, *_ = model.decode(ids, feeds)
        cache = {"past_key": key, "past_value": values}
        all_logits.append(logits[0, -1].astype(np.float32))
        chosen.append(int(logits[0, -1].argmax()))
        tokens.append(given[step + 1] if given else chosen[-1])
    return chosen, np.array(all_logits)


def write(folder, decoder, encoder, external):
    folder.mkdir()
    for name, model in (("decoder", decoder), ("encoder", encoder)):
        options = {"save_as_external_data": True, "location": f"{name}.bin", "size_threshold": 64} if external else {}
        onnx.save(model, folder / f"{name}.onnx", **options)
    return [folder / "decoder.onnx", folder / "encoder.onnx"]
