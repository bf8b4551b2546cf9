#include "converter/output/writer.h"

#include <cstring>
#include <stdexcept>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "converter/output/open_model.h"
#include "schema/preamble.h"
#include "tied_generated.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tied::converter {

namespace {

struct TablePlanes {
  format::Plane values;
  format::Plane scales;
  format::Plane zero_points;
  format::Plane upper;
  format::Plane lower;
  format::Plane screen_scales;
  format::Plane upper_norms;
  format::Plane norms;
  format::Plane column_values;
  format::Plane column_scales;
  format::Plane ids;
};

// The planes of a file, in its order: tables, then biases.
struct Layout {
  std::vector<TablePlanes> tables;
  std::vector<format::Plane> biases;
  uint64_t end = 0;
};

class HeaderBuilder {
 public:
  HeaderBuilder(const Plan& plan, const Layout& layout) : plan_(plan), layout_(layout) {
    // Otherwise a hash of 0 would make the header shorter than in the layout.
    builder_.ForceDefaults(true);
  }

  std::string Build() {
    std::vector<flatbuffers::Offset<format::TiedTable>> tables;
    for (size_t i = 0; i < plan_.tables.size(); ++i) {
      tables.push_back(Build(plan_.tables[i], plan_.encodings[i], layout_.tables[i]));
    }
    std::vector<flatbuffers::Offset<format::EntryPoint>> entry_points;
    for (const PlannedEntryPoint& entry_point : plan_.entry_points) entry_points.push_back(Build(entry_point));
    const auto inputs = Build(plan_.inputs);
    const auto outputs = Build(plan_.outputs);
    const auto header =
        format::CreateHeaderDirect(builder_, "tied-convert " TIED_CONVERTER_VERSION, plan_.source.c_str(),
                                   plan_.graph.c_str(), &inputs, &outputs, &tables, &entry_points);
    format::FinishHeaderBuffer(builder_, header);
    return {reinterpret_cast<const char*>(builder_.GetBufferPointer()), builder_.GetSize()};
  }

 private:
  std::vector<flatbuffers::Offset<format::ValueInfo>> Build(const std::vector<ValueInfo>& values) {
    std::vector<flatbuffers::Offset<format::ValueInfo>> built;
    for (const ValueInfo& value : values) {
      std::vector<flatbuffers::Offset<format::Dim>> dims;
      for (const ValueInfo::Dim& dim : value.dims) {
        dims.push_back(format::CreateDimDirect(builder_, dim.size, dim.symbol.c_str()));
      }
      const auto type = static_cast<format::DataType>(value.type);
      built.push_back(format::CreateValueInfoDirect(builder_, value.name.c_str(), type, &dims));
    }
    return built;
  }

  flatbuffers::Offset<format::TiedTable> Build(const TableSource& table, const TableEncoding& encoding,
                                               const TablePlanes& planes) {
    const auto optional = [](const format::Plane& plane) { return plane.length() == 0 ? nullptr : &plane; };
    flatbuffers::Offset<format::Screen> screen;
    if (encoding.screen) {
      screen = format::CreateScreenDirect(builder_, optional(planes.upper), &planes.lower,
                                          optional(planes.screen_scales), &planes.upper_norms, optional(planes.norms),
                                          encoding.screen_columns.empty() ? nullptr : &encoding.screen_columns,
                                          optional(planes.column_values), optional(planes.column_scales));
    }
    return format::CreateTiedTableDirect(builder_, table.tensor.name.c_str(), encoding.type, table.rows(), table.cols(),
                                         &planes.values, optional(planes.scales), optional(planes.zero_points), screen,
                                         optional(planes.ids), table.vocabulary(),
                                         encoding.half_scales ? format::DataType::Float16 : format::DataType::Float32);
  }

  flatbuffers::Offset<format::EntryPoint> Build(const PlannedEntryPoint& entry_point) {
    std::vector<flatbuffers::Offset<format::Selector>> selectors;
    for (const Selector& selector : entry_point.selectors) {
      uint32_t input = 0;
      while (plan_.inputs[input].name != selector.input) ++input;
      selectors.push_back(format::CreateSelector(builder_, input, selector.value));
    }
    std::vector<flatbuffers::Offset<format::Op>> ops;
    for (const PlannedOp& op : entry_point.ops) ops.push_back(Build(op));
    return format::CreateEntryPointDirect(builder_, entry_point.name.c_str(), &selectors, &ops);
  }

  flatbuffers::Offset<format::Op> Build(const PlannedOp& op) {
    std::vector<format::OutputDim> dims;
    for (const SymbolicInt& dim : op.output_dims) {
      switch (dim.kind) {
        case SymbolicInt::Kind::kConstant:
          dims.emplace_back(format::DimRule::Constant, dim.value);
          break;
        case SymbolicInt::Kind::kInputDim:
          dims.emplace_back(format::DimRule::InputDim, dim.value);
          break;
        default:
          dims.emplace_back(format::DimRule::Infer, 0);
      }
    }
    const auto [type, operation] = BuildOperation(op);
    return format::CreateOpDirect(builder_, type, operation, static_cast<uint32_t>(op.input),
                                  static_cast<uint32_t>(op.output), &dims, op.origin.c_str());
  }

  std::pair<format::Operation, flatbuffers::Offset<void>> BuildOperation(const PlannedOp& op) {
    if (const auto* embedding = std::get_if<EmbeddingOp>(&op.operation)) {
      return {format::Operation::Embedding,
              format::CreateEmbedding(builder_, static_cast<uint32_t>(embedding->table), embedding->scale).Union()};
    }
    if (const auto* head = std::get_if<HeadOp>(&op.operation)) {
      const format::Plane* bias = head->bias < 0 ? nullptr : &layout_.biases[static_cast<size_t>(head->bias)];
      return {format::Operation::Head,
              format::CreateHead(builder_, static_cast<uint32_t>(head->table), bias,
                                 static_cast<format::HeadResult>(head->result), static_cast<uint32_t>(head->k),
                                 head->log_softmax, head->scale, head->soft_cap)
                  .Union()};
    }
    const std::string& data = std::get<ConstantOp>(op.operation).data;
    const std::vector<uint8_t> bytes(data.begin(), data.end());
    return {format::Operation::Constant, format::CreateConstantDirect(builder_, &bytes).Union()};
  }

  const Plan& plan_;
  const Layout& layout_;
  flatbuffers::FlatBufferBuilder builder_;
};

// Ids that equal their rows need no list.
bool ListsIds(const TableSource& table) {
  return table.kept_ids != nullptr && table.kept_ids->back() >= table.kept_ids->size();
}

Layout LayOut(const Plan& plan) {
  Layout layout;
  const auto place = [&](uint64_t length) {
    if (length == 0) return format::Plane(0, 0, 0);
    const uint64_t offset = format::AlignPlane(layout.end);
    layout.end = offset + length;
    return format::Plane(offset, length, 0);
  };
  // Two passes: the length of the header depends on which planes exist, not on their offsets.
  for (int pass = 0; pass < 2; ++pass) {
    layout.end = pass == 0 ? 0 : sizeof(format::Preamble) + HeaderBuilder(plan, layout).Build().size();
    layout.tables.clear();
    layout.biases.clear();
    for (size_t i = 0; i < plan.tables.size(); ++i) {
      const EncodedSizes sizes = SizesOf(plan.encodings[i], plan.tables[i].rows(), plan.tables[i].cols());
      layout.tables.push_back({place(sizes.values), place(sizes.scales), place(sizes.zero_points), place(sizes.upper),
                               place(sizes.lower), place(sizes.screen_scales), place(sizes.upper_norms),
                               place(sizes.norms), place(sizes.column_values), place(sizes.column_scales),
                               place(ListsIds(plan.tables[i]) ? plan.tables[i].rows() * sizeof(uint32_t) : 0)});
    }
    for (const TensorRef& bias : plan.biases) layout.biases.push_back(place(bias.elements() * sizeof(float)));
  }
  return layout;
}

// Writes a plane sequentially.
class PlaneWriter {
  static constexpr uint64_t kSyncBytes = 8u << 20;

 public:
  PlaneWriter(format::Plane* plane, OutputFile& file) : plane_(plane), file_(file) { XXH3_64bits_reset(&hash_); }

  template <class T>
  void Append(const std::vector<T>& values) {
    if (values.empty()) return;
    const size_t bytes = values.size() * sizeof(T);
    XXH3_64bits_update(&hash_, values.data(), bytes);
    file_.WriteAt(plane_->offset() + done_, values.data(), bytes);
    done_ += bytes;
    if (done_ - syncing_ < kSyncBytes) return;
    file_.StartSync(plane_->offset() + syncing_, static_cast<size_t>(done_ - syncing_));
    syncing_ = done_;
  }

  void Finish() {
    if (done_ != plane_->length()) throw std::logic_error("a plane is not filled");
    *plane_ = {plane_->offset(), plane_->length(), XXH3_64bits_digest(&hash_)};
  }

 private:
  format::Plane* plane_;
  OutputFile& file_;
  XXH3_state_t hash_;
  uint64_t done_ = 0;
  uint64_t syncing_ = 0;  // before which writing to disk has begun
};

// A block that a thread has encoded.
struct Part {
  EncodedRows encoded;
  std::vector<float> decoded;
  ErrorMeter::WeightErrors errors;
};

void Encode(const TableSource& table, const TableEncoding& encoding, const RowBlock& rows, ErrorMeter* meter,
            Part* part) try {
  const float* stored =
      encoding.copied ? CopyRows(encoding, table, rows, &part->encoded)
                      : EncodeRows(encoding, rows, static_cast<size_t>(table.cols()), &part->encoded, &part->decoded);
  if (meter != nullptr) part->errors = meter->Measure(rows.first, rows.values, stored, rows.count);
} catch (const RowError& error) {
  throw RowError(table.IdOf(error.row()), error.why());
}

void WriteTable(const TableSource& table, const TableEncoding& encoding, TablePlanes* planes, OutputFile& file,
                const Progress& progress, ErrorMeter* meter) {
  PlaneWriter values(&planes->values, file), scales(&planes->scales, file), zero_points(&planes->zero_points, file),
      upper(&planes->upper, file), lower(&planes->lower, file), screen_scales(&planes->screen_scales, file),
      upper_norms(&planes->upper_norms, file), norms(&planes->norms, file), column_values(&planes->column_values, file),
      column_scales(&planes->column_scales, file);
  std::vector<Part> parts(TableSource::Threads());
  bool scaled = false;  // with the numbers of the table
  const auto encode = [&](size_t thread, const RowBlock& block) {
    Encode(table, encoding, block, meter, &parts[thread]);
  };
  const auto write = [&](size_t thread, const RowBlock&) {
    const EncodedRows& encoded = parts[thread].encoded;
    values.Append(encoded.values);
    if (encoding.scale_of != format::ScaleOf::kTable || !scaled) {
      scales.Append(encoded.scales);
      scales.Append(encoded.half_scales);
      zero_points.Append(encoded.zero_points);
      scaled = true;
    }
    upper.Append(encoded.upper);
    lower.Append(encoded.lower);
    screen_scales.Append(encoded.screen_scales);
    upper_norms.Append(encoded.upper_norms);
    norms.Append(encoded.norms);
    column_values.Append(encoded.column_values);
    column_scales.Append(encoded.column_scales);
    if (meter != nullptr) meter->Add(parts[thread].errors);
    return true;
  };
  table.ForEachBlockInThreads(parts.size(), encode, write, progress);
  PlaneWriter ids(&planes->ids, file);
  if (ListsIds(table)) ids.Append(*table.kept_ids);
  for (PlaneWriter* plane : {&values, &scales, &zero_points, &upper, &lower, &screen_scales, &upper_norms, &norms,
                             &column_values, &column_scales, &ids}) {
    plane->Finish();
  }
}

void WriteHeader(const std::string& header, uint64_t file_length, OutputFile& file) {
  const format::Preamble preamble =
      format::MakePreamble(header.data(), static_cast<uint32_t>(header.size()), file_length);
  file.WriteAt(0, &preamble, sizeof preamble);
  file.WriteAt(sizeof preamble, header.data(), header.size());
}

}  // namespace

void WriteFile(const Plan& plan, OutputFile* file, const Progress& progress, ErrorMeter* meter) {
  Layout layout = LayOut(plan);
  for (size_t i = 0; i < plan.tables.size(); ++i) {
    WriteTable(plan.tables[i], plan.encodings[i], &layout.tables[i], *file, progress, i == 0 ? meter : nullptr);
  }
  for (size_t i = 0; i < plan.biases.size(); ++i) {
    PlaneWriter bias(&layout.biases[i], *file);
    bias.Append(plan.biases[i].ReadFloats());
    bias.Finish();
  }
  WriteHeader(HeaderBuilder(plan, layout).Build(), layout.end, *file);
  // A supported model may still exceed what the runtime reads, with inputs of strings or 2000 outputs.
  RequireOpens(file->descriptor());
  file->Sync();
}

void WriteFile(const Plan& plan, const std::string& path, const Progress& progress, ErrorMeter* meter) {
  OutputFile file(path);
  WriteFile(plan, &file, progress, meter);
  file.Commit();
}

}  // namespace tied::converter
