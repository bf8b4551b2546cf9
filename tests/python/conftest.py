import subprocess
import sys

import models
import pytest
import tied


@pytest.fixture(scope="session")
def run_python():
    """Runs code in another Python."""
    def run(code, *arguments):
        return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=60)

    try:
        run("")
    except OSError as error:
        pytest.skip(f"an emulated Python cannot start another: {error}")
    return run


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """A safetensors file with the table "embed" and a bias."""
    return models.write(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture(scope="session")
def path(source):
    """The .tied file, with a screen. Embeddings are scaled by 8."""
    made = source.parent / "model.tied"
    tied.convert(source, made, table="embed", scale="sqrt", bias="bias", dtype="float32", screen=True)
    return made


@pytest.fixture
def model(path):
    with tied.Model(path) as opened:
        yield opened


@pytest.fixture
def session(model):
    with tied.Session(model, threads=2) as made:
        yield made
