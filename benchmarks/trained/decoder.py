"""Llama and Gemma 3 in NumPy, from a GGUF file: token ids of a text, and the hidden states that the lm_head gets.

T tokens are [T, width]. There is no cache: a text is computed at once.
"""

import re

import gguf
import numpy as np

BYTES = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that GPT-2's vocabulary writes as themselves
GLOBAL_EVERY = 6  # Gemma 3: of so many layers one has the angles of the file, the others those of LOCAL_BASE
LOCAL_BASE = 10000.0


def merge(symbols, rank):
    """Joins the two neighbours of the lowest rank until none may be joined. rank(a, b): None if not."""
    symbols = list(symbols)
    while len(symbols) > 1:
        ranks = [(rank(a, b), i) for i, (a, b) in enumerate(zip(symbols, symbols[1:]))]
        allowed = [pair for pair in ranks if pair[0] is not None]
        if not allowed:
            break
        i = min(allowed)[1]
        symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]
    return symbols


class Gpt2Tokens:
    """Byte pairs within words."""

    WORD = re.compile(r"'(?:[sdmt]|ll|ve|re)|\d| ?[^\W\d_]+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")

    def __init__(self, field):
        self.ids = {token: id for id, token in enumerate(field("tokenizer.ggml.tokens"))}
        self.ranks = {tuple(pair.split(" ")): rank for rank, pair in enumerate(field("tokenizer.ggml.merges"))}
        others = [byte for byte in range(256) if byte not in BYTES]
        self.letters = {byte: chr(byte) for byte in BYTES} | {byte: chr(256 + i) for i, byte in enumerate(others)}

    def encode(self, text):
        ids = []
        for word in self.WORD.findall(text):
            letters = [self.letters[byte] for byte in word.encode()]
            ids += [self.ids[symbol] for symbol in merge(letters, lambda a, b: self.ranks.get((a, b)))]
        return ids


class SentencePieceTokens:
    """Pieces, joined where the whole has the best score; bytes for letters that are no piece."""

    def __init__(self, field):
        self.ids = {token: id for id, token in enumerate(field("tokenizer.ggml.tokens"))}
        self.scores = field("tokenizer.ggml.scores")
        self.first = field("tokenizer.ggml.bos_token_id")

    def rank(self, a, b):
        id = self.ids.get(a + b)
        return None if id is None else -self.scores[id]

    def encode(self, text):
        ids = [self.first]
        for word in re.findall(r"▁*[^▁]+|▁+", text.replace(" ", "▁")):
            for symbol in merge(word, self.rank):
                ids += [self.ids[symbol]] if symbol in self.ids else [self.ids[f"<0x{b:02X}>"] for b in symbol.encode()]
        return ids


class Decoder:
    """table: float32 [vocabulary, width], both embedding and lm_head."""

    def __init__(self, path, table):
        reader = gguf.GGUFReader(path)

        def field(name, default=None):
            found = reader.get_field(name)
            return default if found is None else found.contents()

        self.family = field("general.architecture")
        if self.family not in ("llama", "gemma3"):
            raise ValueError(f"{path}: a model of {self.family}")

        def number(name, default=None):
            return field(f"{self.family}.{name}", default)

        self.gemma = self.family == "gemma3"
        self.tokens = (SentencePieceTokens if self.gemma else Gpt2Tokens)(field)
        self.layers, self.width = number("block_count"), number("embedding_length")
        self.heads, self.groups = number("attention.head_count"), number("attention.head_count_kv")
        self.head_width = number("attention.key_length", self.width // self.heads)
        self.epsilon, self.base = number("attention.layer_norm_rms_epsilon"), number("rope.freq_base")
        self.table = table
        self.weights = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32)
                        for t in reader.tensors if t.name != "token_embd.weight"}

    def normalise(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(self.epsilon)) * self.weights[name + ".weight"]

    def rotate(self, x, base):
        """x: [heads, T, head_width]. Llama's files hold the two halves of Gemma's pairs in turn."""
        half = self.head_width // 2
        angles = np.arange(x.shape[1])[:, None] * base ** (-np.arange(half) / half)
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        a, b = (x[..., :half], x[..., half:]) if self.gemma else (x[..., ::2], x[..., 1::2])
        pair = a * cos - b * sin, a * sin + b * cos
        return np.concatenate(pair, -1) if self.gemma else np.stack(pair, -1).reshape(x.shape)

    def attend(self, x, layer):
        prefix = f"blk.{layer}."

        def project(name, heads):
            return (x @ self.weights[f"{prefix}attn_{name}.weight"].T).reshape(len(x), heads, -1).swapaxes(0, 1)

        q, k, v = project("q", self.heads), project("k", self.groups), project("v", self.groups)
        if self.gemma:
            q, k = self.normalise(q, prefix + "attn_q_norm"), self.normalise(k, prefix + "attn_k_norm")
        local = self.gemma and (layer + 1) % GLOBAL_EVERY != 0
        base = LOCAL_BASE if local else self.base
        q, k = self.rotate(q, base), self.rotate(k, base)
        k, v = (part.repeat(self.heads // self.groups, 0) for part in (k, v))
        scores = q @ k.swapaxes(1, 2) / np.float32(np.sqrt(self.head_width))
        scores += np.triu(np.full(scores.shape[1:], -np.inf, np.float32), 1)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        joined = (weights @ v).swapaxes(0, 1).reshape(len(x), -1)
        return joined @ self.weights[prefix + "attn_output.weight"].T

    def feed_forward(self, x, layer):
        gate, up, down = (self.weights[f"blk.{layer}.ffn_{name}.weight"].T for name in ("gate", "up", "down"))
        x, gated = x @ up, x @ gate
        if self.gemma:  # GELU in its form with tanh
            inner = np.float32(np.sqrt(2 / np.pi)) * (gated + np.float32(0.044715) * gated**3)
            gated = gated * (1 + np.tanh(inner)) / 2
        else:
            gated = gated / (1 + np.exp(-gated))
        return (gated * x) @ down

    def hidden(self, ids):
        """float32 [T, width]: what the lm_head multiplies with the table."""
        x = self.table[ids] * np.float32(np.sqrt(self.width) if self.gemma else 1)
        for layer in range(self.layers):
            prefix = f"blk.{layer}."
            added = self.attend(self.normalise(x, prefix + "attn_norm"), layer)
            x = x + (self.normalise(added, prefix + "post_attention_norm") if self.gemma else added)
            added = self.feed_forward(self.normalise(x, prefix + "ffn_norm"), layer)
            x = x + (self.normalise(added, prefix + "post_ffw_norm") if self.gemma else added)
        return self.normalise(x, "output_norm")
