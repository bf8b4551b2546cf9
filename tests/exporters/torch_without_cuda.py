"""Makes PyTorch from PyPI importable without its CUDA libraries, and 1.2 GB smaller.

usage: torch_without_cuda.py SITE_PACKAGES

On x86-64 Linux PyPI has only the CUDA build of torch. Its Python module links against 3 GB of NVIDIA packages, of which
a CPU never runs a line. This replaces each by a small library of the same name with the symbols that the rest of torch
needs: NVIDIA's functions return 100, cudaErrorNoDevice. torch then finds no GPU, as its CPU builds do.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

CUDA_PARTS = ["libtorch_cuda.so", "libtorch_cuda_linalg.so", "libtorch_nvshmem.so", "libcaffe2_nvrtc.so"]


def dynamic_symbols(library):
    """(name, version or "", defined) of each that must be found."""
    text = subprocess.run(["readelf", "--dyn-syms", "-W", library], capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[0].rstrip(":").isdigit():
            name, _, version = fields[7].replace("@@", "@").partition("@")
            if fields[6] != "UND" or fields[4] != "WEAK":
                yield name, version, fields[6] != "UND"


def needed(library):
    text = subprocess.run(["readelf", "-dW", library], capture_output=True, text=True, check=True).stdout
    return re.findall(r"NEEDED.*\[(.*)\]", text)


def write_stub(path, symbols):
    """symbols: {name: version}. Type information is data, with a name; C++ functions return a reference to zeros, C
    functions 100."""
    lines = [".local nothing", ".comm nothing, 4096, 64"]
    for name in symbols:
        kind, section, body = "function", ".text", "mov $100, %eax\nret"
        if name.startswith("_ZT"):
            kind, section, body = "object", ".data", f'.quad 0, 1f, 0\n.zero 256\n1: .asciz "{name}"'
        elif name.startswith("_Z"):
            body = "lea nothing(%rip), %rax\nret"
        lines += [f".section {section}", f".globl {name}", f".type {name}, @{kind}", f"{name}:", body]
    versions = {}
    for name, version in symbols.items():
        versions.setdefault(version, []).append(name)
    with tempfile.TemporaryDirectory() as folder:
        source, script = pathlib.Path(folder, "stub.s"), pathlib.Path(folder, "stub.map")
        source.write_text("\n".join(lines) + "\n")
        nodes = [f"{version} {{ {'; '.join(names)}; }};\n" for version, names in versions.items() if version]
        script.write_text("".join(nodes))
        options = ["-shared", "-nostdlib", f"-Wl,-soname,{path.name}"]
        if nodes:
            options.append(f"-Wl,--version-script={script}")
        subprocess.run(["cc", *options, source, "-o", path], check=True)


def main():
    folder = pathlib.Path(sys.argv[1], "torch/lib")
    if not (folder / "libtorch_cuda_linalg.so").exists():
        return  # a CPU build, or done already
    of_cuda = {name for part in CUDA_PARTS for name, _, defined in dynamic_symbols(folder / part) if defined}
    libraries = [library for library in sorted(folder.glob("*.so*")) if library.name not in CUDA_PARTS]
    symbols = [symbol for library in libraries for symbol in dynamic_symbols(library)]
    defined = {name for name, _, is_defined in symbols if is_defined}
    missing = {name: version for name, version, is_defined in symbols if not is_defined and name not in defined}
    present = {library.name for library in libraries}
    for absent in {name for library in libraries for name in needed(library)} - present:
        own = {name: version for name, version in missing.items() if version == absent}
        if absent == "libtorch_cuda.so":  # symbols of its own and of NVIDIA's have no version
            own = {name: "" for name, version in missing.items()
                   if not version and (name in of_cuda or name.startswith("cu"))}
        if absent.startswith(("libcu", "libtorch")):
            write_stub(folder / absent, own)
    for part in CUDA_PARTS[1:]:
        (folder / part).unlink()


if __name__ == "__main__":
    main()
