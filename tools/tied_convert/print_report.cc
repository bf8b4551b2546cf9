#include "tools/tied_convert/print_report.h"

#include <iomanip>
#include <ostream>
#include <sstream>

#include "base/printable.h"

namespace tied::converter {

namespace {

void PrintTable(const TableReport& table, std::ostream& out) {
  out << "  table '" << Printable(table.name) << "', " << table.type << " [" << table.rows << ", " << table.cols << ']';
  if (table.rows < table.vocabulary) out << " of " << table.vocabulary << " ids";
  if (table.screen) out << (table.calibrated ? ", with a calibrated screen" : ", with a screen");
  if (!table.reason.empty()) out << "; " << table.reason;
  out << '\n';
}

void PrintTiedUse(const TiedUse& use, std::ostream& out) {
  const std::streamsize precision = out.precision(3);
  out << "  the " << use.use << " reads '" << Printable(use.reads) << "' instead of '" << Printable(use.original)
      << "': rounding error of its weights " << use.rounding << " instead of " << use.rounding_of_original
      << " (root mean square, expected); the two differ by " << use.rms_difference << ", at most "
      << use.largest_difference << '\n';
  out.precision(precision);
}

void PrintOutput(const OutputCheck& check, std::ostream& out) {
  out << Printable(check.entry_point) << ", " << Printable(check.output) << ": ";
  if (check.fault == OutputCheck::Fault::kDifferentShape) {
    out << "DIFFERENT SHAPE\n";
    return;
  }
  if (check.fault == OutputCheck::Fault::kLogitOfDroppedId) {
    out << "A LOGIT FOR A DROPPED ID\n";
    return;
  }
  out << check.values << " values, ";
  if (check.other_ids) out << *check.other_ids << " ids differ; their values: ";
  out << "largest difference " << check.largest_difference;
  if (check.share_of_bound) {
    out << ", " << 100 * *check.share_of_bound << " % of the error bound";
  } else {
    out << " from the float32 table";
  }
  out << (check.fault == OutputCheck::Fault::kOutsideOfBound ? ": TOO MUCH\n" : "\n");
}

void PrintRows(const RowsCheck& check, std::ostream& out) {
  out << "rows: " << (check.lossless ? "equal to the model's within " : "within ") << 100 * check.worst_row
      << (check.lossless ? " % of a rounding error" : " % of the format's rounding error");
  if (check.worst_logit) out << "; logits: at most " << 100 * *check.worst_logit << " % of the error bound";
  out << (check.passed() ? "\n" : ": TOO MUCH\n");
}

}  // namespace

void PrintSummary(const ConvertReport& report, std::ostream& out) {
  out << report.output << ":\n";
  for (const TableReport& table : report.tables) PrintTable(table, out);
  for (const TiedUse& use : report.tied_uses) PrintTiedUse(use, out);
  for (const EntryPointReport& entry_point : report.entry_points) {
    out << "  entry point '" << Printable(entry_point.name) << '\'';
    for (const SelectorReport& selector : entry_point.selectors) {
      out << ", " << Printable(selector.input) << " = " << (selector.value ? "true" : "false");
    }
    out << '\n';
  }
  std::ostringstream seconds;
  seconds << std::fixed << std::setprecision(2) << report.seconds;
  out << "  " << report.bytes << " bytes in " << seconds.str() << " s\n";
}

void PrintError(const MeasuredError& error, std::ostream& out) {
  out << "  weights: largest error " << error.largest_weight << ", root mean square " << error.rms_weight << '\n';
  for (const LogitErrors& logits : error.logits) {
    out << "  logits of " << logits.tokens << ' ' << logits.hidden << " hidden states: largest error " << logits.largest
        << ", top-1 the same in " << logits.same_best << " of " << logits.tokens << ", top-" << logits.k << " overlap "
        << 100 * logits.overlap << " %\n";
  }
  if (error.logits.size() > 1) return;
  out << "  random hidden states flatter: on those of the model, recorded, fewer results stay the same\n";
}

void PrintCheck(const CheckReport& check, std::ostream& out) {
  for (const OutputCheck& output : check.outputs) PrintOutput(output, out);
  if (check.dropped_ids) {
    out << check.dropped_ids->ids
        << " dropped ids, embedding: " << (check.dropped_ids->refused ? "refused\n" : "NOT REFUSED\n");
  }
  if (check.rows) PrintRows(*check.rows, out);
}

}  // namespace tied::converter
