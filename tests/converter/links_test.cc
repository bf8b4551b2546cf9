// Files that a model refers to may be links out of its folder only if the model is also a link into the same folder. A
// Hugging Face cache has links in snapshots/REVISION to files in blobs/.
#include <filesystem>
#include <fstream>

#include "tests/converter/safetensors/model_files.h"

namespace tied::test {
namespace {

namespace fs = std::filesystem;

class LinkTest : public SafetensorsTest {
 protected:
  LinkTest() {
    for (const char* folder : {"blobs", "blobs/deep", "elsewhere", "snapshots", "snapshots/main"}) {
      fs::create_directory(Path(folder));
    }
  }

  // Moves a file to `folder`, such as blobs/, and puts a link into the snapshot.
  void Link(const std::string& name, const std::string& folder) const {
    const std::string blob = folder + "/blob_of_" + name;
    if (fs::exists(Path(name))) fs::rename(Path(name), Path(blob));
    fs::create_symlink("../../" + blob, Path("snapshots/main/" + name));
  }
  void Keep(const std::string& name) const { fs::rename(Path(name), Path("snapshots/main/" + name)); }

  std::string RefusalOf(const std::string& name) const { return Refusal(Path("snapshots/main/" + name)); }

  void SaveOnnx() const {
    ModelForm form;
    form.storage = Storage::kExternal;
    Save(MakeModel(form, Folder()), Path("model.onnx"));
  }
  void SaveSharded() const {
    SaveModel({{"model_type", "gemma"}}, {TableTensor("model.embed_tokens.weight")});
    fs::rename(Path("model.safetensors"), Path("part.safetensors"));
    std::ofstream(Path("model.safetensors.index.json"))
        << Json{{"weight_map", {{"model.embed_tokens.weight", "part.safetensors"}}}};
  }
};

TEST_F(LinkTest, OnnxInACacheConverts) {
  SaveOnnx();
  Link("model.onnx", "blobs");
  Link("table.bin", "blobs");
  EXPECT_EQ(RefusalOf("model.onnx"), "");
}

TEST_F(LinkTest, SafetensorsInACacheConvert) {
  SaveSharded();
  for (const char* name : {"model.safetensors.index.json", "part.safetensors", "config.json"}) Link(name, "blobs");
  EXPECT_EQ(RefusalOf("model.safetensors.index.json"), "");
  EXPECT_EQ(Refusal(Path("snapshots/main")), "");
}

TEST_F(LinkTest, ExternalDataOfAModelThatIsNoLinkIsRefused) {
  SaveOnnx();
  Keep("model.onnx");
  Link("table.bin", "blobs");
  EXPECT_NE(RefusalOf("model.onnx").find("'table.bin' leaves the model's folder: it is a link to"), std::string::npos);
  EXPECT_NE(RefusalOf("model.onnx").find("'cp -rL' makes a folder without links"), std::string::npos);
}

TEST_F(LinkTest, ExternalDataInAnotherPlaceThanTheModelIsRefused) {
  for (const char* place : {"elsewhere", "blobs/deep"}) {
    SaveOnnx();
    Link("model.onnx", "blobs");
    Link("table.bin", place);
    EXPECT_NE(RefusalOf("model.onnx").find("leaves the model's folder"), std::string::npos) << place;
    for (const char* name : {"model.onnx", "table.bin"}) fs::remove(Path(std::string("snapshots/main/") + name));
  }
}

TEST_F(LinkTest, ALinkedModelDoesNotReachItsPlaceByAPath) {
  SaveOnnx();
  fs::rename(Path("model.onnx"), Path("blobs/model.onnx"));
  fs::create_symlink("../../blobs/model.onnx", Path("snapshots/main/model.onnx"));
  fs::rename(Path("table.bin"), Path("blobs/table.bin"));
  onnx::ModelProto model;
  std::ifstream file(Path("blobs/model.onnx"), std::ios::binary);
  ASSERT_TRUE(model.ParseFromIstream(&file));
  for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
    for (onnx::StringStringEntryProto& entry : *tensor.mutable_external_data()) {
      if (entry.key() == "location") entry.set_value("../../blobs/table.bin");
    }
  }
  Save(model, Path("blobs/model.onnx"));
  EXPECT_NE(RefusalOf("model.onnx").find("leaves the model's folder"), std::string::npos) << RefusalOf("model.onnx");
}

TEST_F(LinkTest, ShardsAndConfigOfAModelThatIsNoLinkAreRefused) {
  SaveSharded();
  for (const char* name : {"model.safetensors.index.json", "config.json"}) Keep(name);
  Link("part.safetensors", "blobs");
  EXPECT_NE(Refusal(Path("snapshots/main")).find("shard 'part.safetensors' leaves the model's folder"),
            std::string::npos)
      << Refusal(Path("snapshots/main"));
  fs::remove(Path("snapshots/main/part.safetensors"));
  fs::rename(Path("blobs/blob_of_part.safetensors"), Path("snapshots/main/part.safetensors"));
  EXPECT_EQ(Refusal(Path("snapshots/main")), "");
  fs::rename(Path("snapshots/main/config.json"), Path("config.json"));
  Link("config.json", "elsewhere");
  EXPECT_NE(Refusal(Path("snapshots/main")).find("'config.json' leaves the model's folder"), std::string::npos);
}

}  // namespace
}  // namespace tied::test
