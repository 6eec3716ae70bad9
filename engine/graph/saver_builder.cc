#include "waypost/saver_builder.h"

#include <fmt/format.h>

#include "graph/saver_nodes.h"
#include "waypost/error.h"

namespace waypost {

std::string ShapeAndSliceSpec(const SaverEntry& entry) {
  if (entry.slice.IsWhole() && entry.full_shape.empty()) return "";
  std::string spec;
  for (const std::int64_t dim : entry.full_shape) spec += fmt::format("{} ", dim);
  return spec + SliceText(entry.slice);
}

BulkSaverBuilder::BulkSaverBuilder(SaverDef::Version write_version)
    : write_version_(write_version) {
  if (write_version != SaverDef::kV1 && write_version != SaverDef::kV2) {
    throw Error(Code::kInvalidArgument, fmt::format("saver: write_version {} is neither V1 nor V2",
                                                    static_cast<int>(write_version)));
  }
}

SaverDef BulkSaverBuilder::Build(Graph& graph, std::span<const SaverEntry> entries,
                                 const SaverBuilderOptions& options) {
  SaverDef saver = AddSaverNodes(graph.impl(),
                                 {.scope = options.name,
                                  .sharded = options.sharded,
                                  .version = write_version_,
                                  .filename = options.filename,
                                  .reshape = options.reshape},
                                 entries);
  saver.max_to_keep = options.max_to_keep;
  saver.keep_checkpoint_every_n_hours = static_cast<float>(options.keep_checkpoint_every_n_hours);
  return saver;
}

}  // namespace waypost
