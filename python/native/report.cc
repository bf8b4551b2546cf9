#include "native/report.h"

#include "native/text.h"

namespace tied::python {

namespace nb = nanobind;
using converter::ConvertReport;
using converter::OutputCheck;

namespace {

nb::dict ToDict(const converter::TableReport& table) {
  nb::dict dict;
  dict["name"] = Text(table.name);
  dict["type"] = Text(table.type);
  dict["rows"] = table.rows;
  dict["vocabulary"] = table.vocabulary;
  dict["cols"] = table.cols;
  dict["screen"] = table.screen;
  dict["lossless"] = table.lossless;
  dict["reason"] = Text(table.reason);
  return dict;
}

nb::dict ToDict(const converter::TiedUse& use) {
  nb::dict dict;
  dict["use"] = Text(use.use);
  dict["reads"] = Text(use.reads);
  dict["original"] = Text(use.original);
  dict["rounding"] = use.rounding;
  dict["rounding_of_original"] = use.rounding_of_original;
  dict["largest_difference"] = use.largest_difference;
  dict["rms_difference"] = use.rms_difference;
  return dict;
}

nb::dict ToDict(const converter::EntryPointReport& entry_point) {
  nb::dict selectors;
  for (const auto& selector : entry_point.selectors) selectors[Text(selector.input)] = selector.value;
  nb::dict dict;
  dict["name"] = Text(entry_point.name);
  dict["selectors"] = selectors;
  return dict;
}

nb::dict ToDict(const converter::LogitErrors& errors) {
  nb::dict dict;
  dict["hidden"] = Text(errors.hidden);
  dict["tokens"] = errors.tokens;
  dict["largest"] = errors.largest;
  dict["same_best"] = errors.same_best;
  dict["k"] = errors.k;
  dict["overlap"] = errors.overlap;
  return dict;
}

nb::dict ToDict(const OutputCheck& output);
nb::dict ToDict(const converter::CheckReport& check);

template <typename T>
nb::list ToList(const std::vector<T>& items) {
  nb::list list;
  for (const T& item : items) list.append(ToDict(item));
  return list;
}

nb::dict ToDict(const converter::MeasuredError& error) {
  nb::dict dict;
  dict["largest_weight"] = error.largest_weight;
  dict["rms_weight"] = error.rms_weight;
  dict["logits"] = ToList(error.logits);
  return dict;
}

const char* NameOf(OutputCheck::Fault fault) {
  switch (fault) {
    case OutputCheck::Fault::kNone:
      return "";
    case OutputCheck::Fault::kDifferentShape:
      return "different shape";
    case OutputCheck::Fault::kLogitOfDroppedId:
      return "logit of a dropped id";
    default:
      return "outside of the bound";
  }
}

template <typename T>
nb::object ToObject(const std::optional<T>& value) {
  return value ? nb::cast(*value) : nb::none();
}

nb::dict ToDict(const OutputCheck& output) {
  nb::dict dict;
  dict["entry_point"] = Text(output.entry_point);
  dict["output"] = Text(output.output);
  dict["values"] = output.values;
  dict["other_ids"] = ToObject(output.other_ids);
  dict["largest_difference"] = output.largest_difference;
  dict["share_of_bound"] = ToObject(output.share_of_bound);
  dict["fault"] = NameOf(output.fault);
  return dict;
}

nb::dict ToDict(const converter::RowsCheck& rows) {
  nb::dict dict;
  dict["lossless"] = rows.lossless;
  dict["worst_row"] = rows.worst_row;
  dict["worst_logit"] = ToObject(rows.worst_logit);
  return dict;
}

nb::dict ToDict(const converter::DroppedIdsCheck& dropped) {
  nb::dict dict;
  dict["ids"] = dropped.ids;
  dict["refused"] = dropped.refused;
  return dict;
}

template <typename T>
nb::object ToDictOrNone(const std::optional<T>& value) {
  if (!value) return nb::none();
  return ToDict(*value);
}

nb::dict ToDict(const converter::CheckReport& check) {
  nb::dict dict;
  dict["outputs"] = ToList(check.outputs);
  dict["dropped_ids"] = ToDictOrNone(check.dropped_ids);
  dict["rows"] = ToDictOrNone(check.rows);
  dict["not_checked"] = Text(check.not_checked);
  dict["passed"] = check.passed();
  return dict;
}

}  // namespace

nb::dict DictOf(const ConvertReport& report) {
  nb::dict dict;
  dict["output"] = Text(report.output);
  dict["written"] = report.written;
  dict["tables"] = ToList(report.tables);
  dict["tied_uses"] = ToList(report.tied_uses);
  dict["entry_points"] = ToList(report.entry_points);
  dict["bytes"] = report.bytes;
  dict["seconds"] = report.seconds;
  dict["error"] = ToDictOrNone(report.error);
  dict["check"] = ToDictOrNone(report.check);
  return dict;
}

}  // namespace tied::python
