// Files in other formats that users pass as a model. The message describes each.
#include <filesystem>
#include <fstream>

#include "tests/converter/safetensors/model_files.h"

namespace tied::test {
namespace {

using namespace std::string_literals;

struct Foreign {
  const char* name;
  std::string bytes;
  const char* words;
};
std::ostream& operator<<(std::ostream& out, const Foreign& foreign) { return out << foreign.name; }

const std::string kLfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1049423872\n";

const Foreign kForeign[] = {
    {"LfsPointer", kLfs, "is a Git LFS pointer"},
    {"Empty", "", "is empty"},
    {"Gguf", "GGUF\3\0\0\0"s, "is a GGUF file"},
    {"PyTorchZip", "PK\3\4"s + std::string(26, '\0') + "archive/data.pkl", "is a PyTorch checkpoint"},
    {"PyTorchPickle", "\x80\2}q\0."s, "is a PyTorch checkpoint"},
    {"Zip", "PK\3\4"s + std::string(26, '\0') + "model.onnx", "is an archive: unpack it"},
    {"Npz", "PK\3\4"s + std::string(26, '\0') + "arr_0.npy", "is a NumPy archive"},
    {"Gzip", "\x1F\x8B\b\0"s, "is an archive"},
    {"Tar", std::string(257, 'n') + "ustar", "is an archive"},
    {"Html", "\n <!DOCTYPE HTML><html>", "is a web page"},
    {"HtmlWithMark", "\xEF\xBB\xBF<html lang=en>", "is a web page"},
    {"Xml", "<?xml version=\"1.0\"?><Error><Code>AccessDenied", "is XML"},
    {"TfLite", "\x1C\0\0\0TFL3"s, "is a TensorFlow Lite model"},
    {"Ort", "\x18\0\0\0ORTM"s, "in ONNX Runtime's ORT format"},
    {"Keras", "\x89HDF\r\n\x1A\n", "is an HDF5 file"},
    {"Npy", "\x93NUMPY\1\0"s, "is a NumPy array"},
    {"Tied", "\x89TIED\r\n\x1A"s, "is already a .tied file"},
};

class ForeignFiles : public SafetensorsTest, public testing::WithParamInterface<Foreign> {};

TEST_P(ForeignFiles, AreNamedUnderAnyName) {
  for (const char* name : {"model.onnx", "model.safetensors", "model.bin"}) {
    std::ofstream(Path(name), std::ios::binary) << GetParam().bytes;
    const std::string message = Refusal(Path(name));
    EXPECT_NE(message.find(Path(name) + ": "), std::string::npos) << message;
    EXPECT_NE(message.find(GetParam().words), std::string::npos) << message;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ForeignFiles, testing::ValuesIn(kForeign),
                         [](const auto& foreign) { return std::string(foreign.param.name); });

TEST_F(SafetensorsTest, PointersInThePlaceOfConfigIndexAndExternalDataAreNamed) {
  SaveModel({{"model_type", "gemma"}}, {TableTensor("model.embed_tokens.weight")});
  std::ofstream(Path("config.json")) << kLfs;
  EXPECT_NE(Refusal(Folder()).find("config.json: is a Git LFS pointer"), std::string::npos) << Refusal(Folder());
  std::filesystem::remove(Path("model.safetensors"));
  std::ofstream(Path("model.safetensors.index.json")) << kLfs;
  EXPECT_NE(Refusal(Folder()).find("index.json: is a Git LFS pointer"), std::string::npos) << Refusal(Folder());
  ModelForm form;
  form.storage = Storage::kExternal;
  Save(MakeModel(form, Folder()), Path("model.onnx"));
  std::ofstream(Path("table.bin")) << kLfs;
  EXPECT_NE(Refusal(Path("model.onnx")).find("table.bin: is a Git LFS pointer"), std::string::npos);
}

TEST_F(SafetensorsTest, PartsThatAreMissingAreCounted) {
  std::ofstream(Path("model.safetensors.index.json")) << Json{
      {"weight_map", {{"a", "model-1.safetensors"}, {"b", "model-2.safetensors"}, {"c", "model-3.safetensors"}}}};
  SaveShard(Path("model-1.safetensors"), {});
  EXPECT_NE(Refusal(Folder()).find("2 of 3 are not beside it: download 'model-2.safetensors' and the others"),
            std::string::npos)
      << Refusal(Folder());
}

TEST_F(SafetensorsTest, FoldersSayWhatTheyHave) {
  EXPECT_NE(Refusal(Folder()).find("has no model.safetensors"), std::string::npos) << Refusal(Folder());
  std::ofstream(Path("pytorch_model.bin")) << "\x80\2";
  EXPECT_NE(Refusal(Folder()).find("'pytorch_model.bin' is in an unsupported format"), std::string::npos);
  std::ofstream(Path("decoder_model.onnx")) << "";
  EXPECT_NE(Refusal(Folder()).find("is a folder of ONNX files: pass one of 'decoder_model.onnx'"), std::string::npos);
  // The only safetensors file is the model, whatever its name or extension.
  SaveModel({{"model_type", "gemma"}}, {TableTensor("model.embed_tokens.weight")});
  std::filesystem::rename(Path("model.safetensors"), Path("weights.safetensors"));
  EXPECT_EQ(Refusal(Folder()), "");
  std::filesystem::rename(Path("weights.safetensors"), Path("weights"));
  EXPECT_EQ(Refusal(Path("weights")), "");
}

}  // namespace
}  // namespace tied::test
