#include "native/model.h"

#include "native/calls.h"
#include "native/text.h"

namespace tied::python {

namespace nb = nanobind;
// clang-tidy 14 does not see uses of literals: NOLINTNEXTLINE(misc-unused-using-decls)
using nanobind::literals::operator""_a;

Memory::Memory(PyObject* object) {
  if (PyObject_GetBuffer(object, &view_, PyBUF_SIMPLE) != 0) throw nb::python_error();
}

namespace {

OpenOptions Options(bool verify, bool copy) {
  OpenOptions options;
  options.verify_planes = verify;
  options.copy = copy;
  return options;
}

// Opening may read the whole file.
PyModel Open(const nb::bytes& path, bool verify, bool copy) {
  const RunningCall running(nullptr);
  const std::string name(path.c_str(), path.size());
  const nb::gil_scoped_release released;
  return PyModel(std::make_shared<ModelHandle>(Model::Open(name, Options(verify, copy))));
}

PyModel OpenFd(int fd, uint64_t offset, uint64_t length, bool verify, bool copy) {
  const RunningCall running(nullptr);
  const nb::gil_scoped_release released;
  return PyModel(std::make_shared<ModelHandle>(Model::OpenFd(fd, offset, length, Options(verify, copy))));
}

PyModel OpenMemory(const nb::object& data, bool verify) {
  const RunningCall running(nullptr);
  auto memory = std::make_unique<Memory>(data.ptr());
  const auto open = [&] {
    const nb::gil_scoped_release released;
    return Model::OpenMemory(memory->data(), memory->size(), Options(verify, false));
  };
  Model model = open();
  return PyModel(std::make_shared<ModelHandle>(std::move(memory), std::move(model)));
}

// Calls that read the file or ask the system. They cannot be cancelled; the interpreter's exit waits for them.
template <typename Call>
auto WithoutGil(const PyModel& model, const Call& call) {
  // A copy: another thread may close the model meanwhile.
  const std::shared_ptr<ModelHandle> handle = model.handle();  // NOLINT(performance-unnecessary-copy-initialization)
  const RunningCall running(nullptr);
  const nb::gil_scoped_release released;
  return call(&handle->model);
}

// After each piece it lets Python handle signals and calls `progress`, if that is not None.
void Prefetch(const PyModel& model, const nb::object& progress, bool everything) {
  WithoutGil(model, [&](const Model* m) {
    m->Prefetch(
        [&](uint64_t done, uint64_t total) {
          const nb::gil_scoped_acquire acquired;
          HandleSignals();
          if (!progress.is_none()) progress(done, total);
          return true;
        },
        everything);
  });
}

nb::dict DictOf(const tied_plane_info& plane) {
  nb::dict dict;
  dict["offset"] = plane.offset;
  dict["length"] = plane.length;
  dict["hash"] = plane.hash;
  return dict;
}

nb::dict DictOf(const tied_table_info& table) {
  nb::dict planes;
  const auto add = [&](const char* name, const tied_plane_info& plane) {
    if (plane.length > 0) planes[name] = DictOf(plane);
  };
  add("values", table.values);
  add("scales", table.scales);
  add("zero_points", table.zero_points);
  add("screen_upper", table.screen_upper);
  add("screen_lower", table.screen_lower);
  add("screen_scales", table.screen_scales);
  add("screen_upper_norms", table.screen_upper_norms);
  add("screen_norms", table.screen_norms);
  add("screen_column_values", table.screen_column_values);
  add("screen_column_scales", table.screen_column_scales);
  add("ids", table.ids);
  nb::dict dict;
  dict["name"] = Text(table.name);
  dict["type"] = table.type;
  dict["rows"] = table.rows;
  dict["cols"] = table.cols;
  dict["vocabulary"] = table.vocabulary;
  dict["planes"] = planes;
  return dict;
}

nb::dict DictOf(const tied_value_info& value) {
  nb::list shape;
  for (size_t i = 0; i < value.rank; ++i) {
    if (value.dims[i] >= 0) {
      shape.append(value.dims[i]);
    } else {
      shape.append(Text(value.symbols[i]));
    }
  }
  nb::dict dict;
  dict["name"] = Text(value.name);
  dict["type"] = value.type;
  dict["shape"] = nb::tuple(shape);
  return dict;
}

nb::dict DictOf(const tied_op_info& op) {
  nb::dict dict;
  dict["kind"] = Text(op.kind);
  dict["table"] = op.table;
  dict["input"] = op.input;
  dict["output"] = op.output;
  dict["scale"] = op.scale;
  dict["has_bias"] = op.has_bias != 0;
  dict["result"] = Text(op.result);
  dict["k"] = op.k;
  dict["log_softmax"] = op.log_softmax != 0;
  dict["soft_cap"] = op.soft_cap;
  dict["origin"] = Text(op.origin);
  return dict;
}

nb::dict EntryPoint(const Model& model, size_t index) {
  const tied_entry_point_info info = model.EntryPoint(index);
  nb::list selectors;
  for (size_t i = 0; i < info.selector_count; ++i) {
    const tied_selector_info selector = model.Selector(index, i);
    selectors.append(nb::make_tuple(selector.input, selector.value != 0));
  }
  nb::list ops;
  for (size_t i = 0; i < info.op_count; ++i) ops.append(DictOf(model.Op(index, i)));
  nb::dict dict;
  dict["name"] = Text(info.name);
  dict["selectors"] = selectors;
  dict["ops"] = ops;
  return dict;
}

template <typename Get>
nb::list ListOf(size_t count, const Get& get) {
  nb::list list;
  for (size_t i = 0; i < count; ++i) list.append(get(i));
  return list;
}

nb::dict Info(const PyModel& py_model) {
  const Model& model = py_model.handle()->model;
  const tied_model_info info = model.Info();
  nb::dict dict;
  dict["format_version"] = info.format_version;
  dict["file_bytes"] = info.file_bytes;
  dict["producer"] = Text(info.producer);
  dict["source"] = Text(info.source);
  dict["graph"] = Text(info.graph);
  dict["tables"] = ListOf(info.table_count, [&](size_t i) { return DictOf(model.Table(i)); });
  dict["inputs"] = ListOf(info.input_count, [&](size_t i) { return DictOf(model.Input(i)); });
  dict["outputs"] = ListOf(info.output_count, [&](size_t i) { return DictOf(model.Output(i)); });
  dict["entry_points"] = ListOf(info.entry_point_count, [&](size_t i) { return EntryPoint(model, i); });
  return dict;
}

nb::dict EmbeddingInfo(const PyModel& model) {
  const tied_embedding_info info = model.handle()->model.Embedding();
  nb::dict dict;
  dict["table"] = info.table;
  dict["cols"] = info.cols;
  dict["rows"] = info.rows;
  dict["vocabulary"] = info.vocabulary;
  dict["scale"] = info.scale;
  return dict;
}

nb::dict HeadInfo(const PyModel& model) {
  const tied_head_info info = model.handle()->model.Head();
  nb::dict dict;
  dict["table"] = info.table;
  dict["cols"] = info.cols;
  dict["rows"] = info.rows;
  dict["vocabulary"] = info.vocabulary;
  dict["has_bias"] = info.has_bias != 0;
  dict["scale"] = info.scale;
  dict["soft_cap"] = info.soft_cap;
  return dict;
}

}  // namespace

const std::shared_ptr<ModelHandle>& PyModel::handle() const {
  if (handle_ == nullptr) throw nb::value_error("the model is closed");
  return handle_;
}

void DefineModel(nb::module_* module) {
  nb::class_<PyModel>(*module, "Model")
      .def_static("open", Open, "path"_a, "verify"_a, "copy"_a)
      .def_static("open_fd", OpenFd, "fd"_a, "offset"_a, "length"_a, "verify"_a, "copy"_a)
      .def_static("open_memory", OpenMemory, "data"_a, "verify"_a)
      .def("close", &PyModel::Close)
      .def_prop_ro("closed", &PyModel::closed)
      .def("verify", [](const PyModel& model) { WithoutGil(model, [](const Model* m) { m->Verify(); }); })
      .def("prefetch", Prefetch, "progress"_a.none(), "everything"_a)
      .def("trim", [](const PyModel& model) { WithoutGil(model, [](Model* m) { m->Trim(); }); })
      .def("resident_bytes",
           [](const PyModel& model) { return WithoutGil(model, [](const Model* m) { return m->ResidentBytes(); }); })
      .def("info", Info)
      .def("embedding", EmbeddingInfo)
      .def("head", HeadInfo);
}

}  // namespace tied::python
