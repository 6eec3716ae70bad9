// waypost cat: the values of one tensor.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/bytes.h"
#include "base/escape.h"
#include "commands.h"
#include "inspect/checkpoint.h"
#include "inspect/element_text.h"
#include "inspect/terminal.h"
#include "inspect/text.h"
#include "restore/bundle_reader.h"

namespace waypost::tool {
namespace {

struct CatOptions {
  std::string prefix;
  std::string name;
  std::string name_b64;
  bool name_is_base64 = false;
  bool raw = false;
};

std::string TensorName(const CatOptions& options) {
  if (!options.name_is_base64) return options.name;
  if (std::optional<std::string> name = DecodeBase64(options.name_b64)) return *std::move(name);
  throw Error(Code::kInvalidArgument, "--name-b64 " + options.name_b64 + ": not base64");
}

const StoredTensor& FindTensor(const Checkpoint& checkpoint, const std::string& name) {
  const StoredCheckpoint& reader = checkpoint.reader();
  const StoredTensor* const tensor = reader.index().Find(name);
  if (tensor == nullptr) {
    throw Error(Code::kNotFound, fmt::format("{}: no tensor {}", reader.prefix(), Printable(name)));
  }
  if (tensor->dtype == DType::kVariant) {
    throw Error(Code::kUnimplemented,
                fmt::format("{}: tensor {} is a variant, whose values are not decoded",
                            reader.prefix(), Printable(name)));
  }
  return *tensor;
}

// Prints elements whose bytes come in pieces of any size.
class ElementPrinter {
 public:
  explicit ElementPrinter(DType dtype) : dtype_(dtype), element_bytes_(ElementBytes(dtype)) {}

  void Take(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      if (partial_.empty() && bytes.size() >= element_bytes_) {
        PrintElement(bytes.first(element_bytes_));
        bytes = bytes.subspan(element_bytes_);
        continue;
      }
      const std::size_t size = std::min(bytes.size(), element_bytes_ - partial_.size());
      partial_.insert(partial_.end(), bytes.begin(),
                      bytes.begin() + static_cast<std::ptrdiff_t>(size));
      bytes = bytes.subspan(size);
      if (partial_.size() < element_bytes_) continue;
      PrintElement(partial_);
      partial_.clear();
    }
  }

 private:
  void PrintElement(std::span<const std::byte> element) {
    Print(ElementText(dtype_, element) + "\n");
  }

  DType dtype_;
  std::size_t element_bytes_;
  std::vector<std::byte> partial_;  // of an element that two pieces share
};

ExitStatus Cat(const CatOptions& options) {
  const std::string name = TensorName(options);
  Checkpoint checkpoint(options.prefix);
  const StoredTensor& tensor = FindTensor(checkpoint, name);
  Progress progress(StoredBytes(tensor));
  // Values on a terminal are progress enough.
  if (::isatty(STDOUT_FILENO) == 0) checkpoint.set_progress(progress);
  if (tensor.dtype == DType::kString) {
    for (const std::string& text : checkpoint.Strings(tensor)) {
      Print(options.raw ? text : Printable(text) + "\n");
    }
  } else if (options.raw) {
    checkpoint.Stream(tensor, [](std::span<const std::byte> bytes) { Print(AsText(bytes)); });
  } else {
    ElementPrinter printer(tensor.dtype);
    checkpoint.Stream(tensor, [&](std::span<const std::byte> bytes) { printer.Take(bytes); });
  }
  return kDone;
}

}  // namespace

void AddCat(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("cat", "Print the values of a tensor, one a line");
  const auto options = std::make_shared<CatOptions>();
  command->add_option("PREFIX", options->prefix, "The checkpoint")->required();
  CLI::Option* name = command->add_option("NAME", options->name, "The tensor's name");
  CLI::Option* name_b64 = command->add_option("--name-b64", options->name_b64,
                                              "The tensor's name in base64, whatever bytes it has");
  name->excludes(name_b64);
  command->add_flag("--raw", options->raw,
                    "Print the little-endian bytes as they are, and strings one behind the other");
  command->callback([options, name, name_b64, &action] {
    if (name->empty() && name_b64->empty()) throw CLI::RequiredError("NAME or --name-b64");
    options->name_is_base64 = !name_b64->empty();
    action = [options] { return Cat(*options); };
  });
}

}  // namespace waypost::tool
