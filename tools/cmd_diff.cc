// waypost diff: whether two checkpoints hold the same tensors, however they are stored.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/escape.h"
#include "commands.h"
#include "inspect/checkpoint.h"
#include "inspect/compare.h"
#include "inspect/terminal.h"

namespace waypost::tool {
namespace {

struct DiffOptions {
  std::string a;
  std::string b;
};

class Diff {
 public:
  explicit Diff(const DiffOptions& options)
      : a_(options.a), b_(options.b), progress_(a_.size_bytes()) {
    a_.set_progress(progress_);
  }

  ExitStatus Run() {
    WalkNames();
    progress_.Hide();
    if (difference_count_ == 0) {
      PrintLine(fmt::format("equal: {} tensors, {} bytes", a_.tensors().size(), a_.size_bytes()));
      return kDone;
    }
    PrintLine(fmt::format("{} tensors differ", difference_count_));
    return kFoundWanting;
  }

 private:
  // Both lists ascend by name.
  void WalkNames() {
    auto a = a_.tensors().begin();
    auto b = b_.tensors().begin();
    while (a != a_.tensors().end() || b != b_.tensors().end()) {
      if (b == b_.tensors().end() || (a != a_.tensors().end() && a->get().name < b->get().name)) {
        Report(*a++, "only in " + a_.reader().prefix());
      } else if (a == a_.tensors().end() || b->get().name < a->get().name) {
        Report(*b++, "only in " + b_.reader().prefix());
      } else {
        Compare(*a++, *b++);
      }
    }
  }

  void Compare(const StoredTensor& a, const StoredTensor& b) {
    if (a.dtype != b.dtype) {
      Report(a, fmt::format("dtype {} and {}", DTypeName(a.dtype), DTypeName(b.dtype)));
    } else if (a.shape != b.shape) {
      Report(a, fmt::format("shape {} and {}", ShapeText(a.shape), ShapeText(b.shape)));
    } else if (a.dtype == DType::kVariant) {
      Report(a, "variants cannot be compared");
    } else {
      CompareValues(a, b);
    }
  }

  void CompareValues(const StoredTensor& a, const StoredTensor& b) {
    try {
      const Differences differences = CompareTensors(a_, a, b_, b);
      if (differences.count == 0) return;
      Report(a, fmt::format("values, first at element {}, {} of {} differ", differences.first,
                            differences.count, ElementCount(a.shape)));
    } catch (const Error& error) {
      if (StatusOf(error) != kFoundWanting) throw;
      ++difference_count_;
      progress_.Hide();
      PrintError(error.what());  // and the other tensors are compared all the same
    }
  }

  void Report(const StoredTensor& tensor, const std::string& what) {
    ++difference_count_;
    progress_.Hide();
    PrintLine(fmt::format("{}: {}", Printable(tensor.name), what));
  }

  Checkpoint a_;
  Checkpoint b_;
  Progress progress_;
  std::uint64_t difference_count_ = 0;
};

}  // namespace

void AddDiff(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("diff", "Compare the tensors of two checkpoints");
  const auto options = std::make_shared<DiffOptions>();
  command->add_option("A", options->a, "A checkpoint")->required();
  command->add_option("B", options->b, "Another one")->required();
  command->callback([options, &action] { action = [options] { return Diff(*options).Run(); }; });
}

}  // namespace waypost::tool
