// waypost ls: what is in a checkpoint.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/escape.h"
#include "commands.h"
#include "inspect/checkpoint.h"
#include "inspect/digest.h"
#include "inspect/table.h"
#include "inspect/terminal.h"
#include "inspect/text.h"

namespace waypost::tool {
namespace {

struct LsOptions {
  std::string prefix;
  bool json = false;
  bool sha256 = false;
};

// A slice with its lengths written out: TensorFlow's -1 is the whole dimension.
std::vector<TensorSlice::Extent> ExplicitExtents(const StoredTensor& tensor,
                                                 const TensorSlice& slice) {
  const Shape lengths = SliceShape(tensor.shape, slice);
  std::vector<TensorSlice::Extent> extents(lengths.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    extents[i] = {slice.IsWhole() ? 0 : slice.extents[i].start, lengths[i]};
  }
  return extents;
}

// V1 does not say where in its file an extent is, nor what strings take, and has no checksum of it.
Json PlaceJson(const StoredTensor& tensor, const StoredExtent& extent, bool is_v1) {
  if (is_v1) {
    const bool has_size = tensor.dtype != DType::kString;
    return {{"shard", extent.shard},
            {"offset", nullptr},
            {"bytes", has_size ? Json(extent.size_bytes) : Json(nullptr)},
            {"crc32c", nullptr}};
  }
  return {{"shard", extent.shard},
          {"offset", extent.offset},
          {"bytes", extent.size_bytes},
          {"crc32c", extent.crc32c}};
}

Json SlicesJson(const StoredTensor& tensor, bool is_v1) {
  Json slices = Json::array();
  if (!tensor.is_sliced) return slices;
  for (const StoredExtent& stored : tensor.extents) {
    Json start = Json::array();
    Json length = Json::array();
    for (const TensorSlice::Extent& extent : ExplicitExtents(tensor, stored.slice)) {
      start.push_back(extent.start);
      length.push_back(extent.length);
    }
    Json slice = {{"start", start}, {"length", length}};
    slice.update(PlaceJson(tensor, stored, is_v1));
    slices.push_back(std::move(slice));
  }
  return slices;
}

Json TensorJson(const StoredTensor& tensor, bool is_v1) {
  Json json = {{"name", JsonText(tensor.name)},
               {"name_b64", EncodeBase64(tensor.name)},
               {"dtype", DTypeName(tensor.dtype)},
               {"shape", tensor.shape}};
  const Json nowhere = {
      {"shard", nullptr}, {"offset", nullptr}, {"bytes", nullptr}, {"crc32c", nullptr}};
  json.update(tensor.is_sliced ? nowhere : PlaceJson(tensor, tensor.extents.front(), is_v1));
  json["slices"] = SlicesJson(tensor, is_v1);
  return json;
}

std::vector<std::string> PlaceCells(const StoredTensor& tensor, const StoredExtent& extent,
                                    bool is_v1) {
  if (is_v1) {
    const bool has_size = tensor.dtype != DType::kString;
    return {std::to_string(extent.shard), "-", has_size ? std::to_string(extent.size_bytes) : "-",
            "-"};
  }
  return {std::to_string(extent.shard), std::to_string(extent.offset),
          std::to_string(extent.size_bytes), fmt::format("{:08x}", extent.crc32c)};
}

class Ls {
 public:
  explicit Ls(const LsOptions& options)
      : options_(options), checkpoint_(options.prefix), progress_(checkpoint_.size_bytes()) {
    checkpoint_.set_progress(progress_);
  }

  ExitStatus Run() {
    if (options_.json) {
      PrintJson();
    } else {
      PrintTable();
    }
    return status_;
  }

 private:
  // As JSON has it: null where there is none.
  Json Digest(const StoredTensor& tensor) {
    if (tensor.dtype == DType::kVariant) return nullptr;
    Json digest;
    try {
      digest = TensorDigest(checkpoint_, tensor);
    } catch (const Error& error) {
      progress_.Hide();
      PrintError(error.what());
      status_ = kFoundWanting;
    }
    return digest;
  }

  // Tensor by tensor: a million of them need no million of JSON objects.
  void PrintJson() {
    Print(fmt::format("{{\"prefix\": {}, \"num_shards\": {}, \"tensors\": [\n",
                      Json(JsonText(options_.prefix)).dump(-1, ' ', true), shard_count()));
    std::string separator;
    for (const StoredTensor& tensor : checkpoint_.tensors()) {
      Json json = TensorJson(tensor, is_v1());
      if (options_.sha256) json["sha256"] = Digest(tensor);
      progress_.Hide();
      Print(separator + json.dump(-1, ' ', true));
      separator = ",\n";
    }
    Print("]}\n");
  }

  void PrintTable() {
    std::vector<Column> columns = {{"name"},         {"dtype"},       {"shape"}, {"shard", true},
                                   {"offset", true}, {"bytes", true}, {"crc32c"}};
    if (options_.sha256) columns.push_back({"sha256"});
    Table table(std::move(columns));
    for (const StoredTensor& tensor : checkpoint_.tensors()) AddRows(table, tensor);
    progress_.Hide();
    table.Print();
    PrintLine(fmt::format("total: {} tensors, {} bytes, {} shards", checkpoint_.tensors().size(),
                          checkpoint_.size_bytes(), shard_count()));
  }

  void AddRows(Table& table, const StoredTensor& tensor) {
    std::vector<std::string> row = {Printable(tensor.name), std::string(DTypeName(tensor.dtype)),
                                    ShapeText(tensor.shape)};
    const auto append_place = [&row](const std::vector<std::string>& cells) {
      row.insert(row.end(), cells.begin(), cells.end());
    };
    append_place(tensor.is_sliced ? std::vector<std::string>(4, "-")
                                  : PlaceCells(tensor, tensor.extents.front(), is_v1()));
    if (options_.sha256) {
      const Json digest = Digest(tensor);
      row.push_back(digest.is_null() ? "-" : digest.get<std::string>());
    }
    table.Add(std::move(row));
    if (!tensor.is_sliced) return;
    for (const StoredExtent& extent : tensor.extents) {
      row = {"  slice " + SliceText({ExplicitExtents(tensor, extent.slice)}), "", ""};
      append_place(PlaceCells(tensor, extent, is_v1()));
      table.Add(std::move(row));
    }
  }

  int shard_count() const { return checkpoint_.reader().shard_count(); }
  bool is_v1() const { return checkpoint_.reader().v1() != nullptr; }

  const LsOptions& options_;
  Checkpoint checkpoint_;
  Progress progress_;
  ExitStatus status_ = kDone;
};

}  // namespace

void AddLs(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("ls", "List the tensors of a checkpoint");
  const auto options = std::make_shared<LsOptions>();
  command->add_option("PREFIX", options->prefix, "The checkpoint")->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->add_flag("--sha256", options->sha256, "Read every tensor and print its digest");
  command->callback([options, &action] { action = [options] { return Ls(*options).Run(); }; });
}

}  // namespace waypost::tool
