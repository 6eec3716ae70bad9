#include "restore/tensor_stream.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/escape.h"
#include "device/device_registry.h"
#include "restore/restore_planner.h"
#include "restore/tensor_restorer.h"

namespace waypost {
namespace {

class SinkConsumer final : public PartConsumer {
 public:
  explicit SinkConsumer(const std::function<void(std::span<const std::byte>)>& sink)
      : sink_(sink) {}

  void OnBytes(const LoadPart& /*part*/, std::uint64_t /*offset*/,
               std::span<const std::byte> bytes) override {
    sink_(bytes);
  }
  void OnPartDone(const LoadPart& /*part*/) override {}
  [[noreturn]] void OnDamage(const LoadPart& /*part*/, const Error& error) override { throw error; }

 private:
  const std::function<void(std::span<const std::byte>)>& sink_;
};

// The extents in the order of their rows, when every one is a block of whole rows; else empty.
std::vector<const StoredExtent*> RowBlocks(const StoredTensor& tensor) {
  std::vector<const StoredExtent*> blocks;
  for (const StoredExtent& extent : tensor.extents) {
    const auto& extents = extent.slice.extents;
    for (std::size_t i = 1; i < extents.size(); ++i) {
      if (extents[i].length >= 0 && extents[i].length != tensor.shape[i]) return {};
    }
    blocks.push_back(&extent);
  }
  std::sort(blocks.begin(), blocks.end(), [](const StoredExtent* a, const StoredExtent* b) {
    return a->slice.extents[0].start < b->slice.extents[0].start;
  });
  return blocks;
}

void ReadJoined(const StoredCheckpoint& reader, TensorLoader& loader, const StoredTensor& tensor,
                void* target) {
  std::vector<std::unique_ptr<Device>> host;
  host.push_back(MakeHostDevice());
  const NamedTensor whole = {.name = tensor.name,
                             .tensor = TensorView(target, tensor.dtype, tensor.shape)};
  RestoreTensors(reader, loader, DeviceRegistry(std::move(host)), std::span(&whole, 1), nullptr,
                 "read");
}

}  // namespace

bool HasHoles(const StoredTensor& tensor) {
  // Slices lie within the tensor and do not overlap (BundleIndex), so counting elements is enough.
  std::int64_t stored = 0;
  for (const StoredExtent& extent : tensor.extents) {
    stored += ElementCount(SliceShape(tensor.shape, extent.slice));
  }
  return stored != ElementCount(tensor.shape);
}

void RequireWhole(const StoredCheckpoint& reader, const StoredTensor& tensor) {
  for (const StoredExtent& extent : tensor.extents)
    RequirePresent(reader, WholeExtent(tensor, extent));
  if (!HasHoles(tensor)) return;
  throw Error(Code::kFailedPrecondition,
              fmt::format("{}: the stored slices of tensor {} do not cover it", reader.prefix(),
                          Printable(tensor.name)));
}

void StreamTensor(const StoredCheckpoint& reader, TensorLoader& loader, const StoredTensor& tensor,
                  const std::function<void(std::span<const std::byte>)>& sink) {
  RequireWhole(reader, tensor);
  SinkConsumer consumer(sink);
  if (!tensor.is_sliced) {
    loader.Load(reader, {WholeExtent(tensor, tensor.extents.front())}, consumer);
    return;
  }
  if (const std::vector<const StoredExtent*> blocks = RowBlocks(tensor); !blocks.empty()) {
    for (const StoredExtent* block : blocks) {
      loader.Load(reader, {WholeExtent(tensor, *block)}, consumer);
    }
    return;
  }
  std::vector<std::byte> joined(static_cast<std::size_t>(ElementCount(tensor.shape)) *
                                ElementBytes(tensor.dtype));
  ReadJoined(reader, loader, tensor, joined.data());
  sink(joined);
}

std::vector<std::string> ReadStrings(const StoredCheckpoint& reader, TensorLoader& loader,
                                     const StoredTensor& tensor) {
  RequireWhole(reader, tensor);
  std::vector<std::string> strings(static_cast<std::size_t>(ElementCount(tensor.shape)));
  ReadJoined(reader, loader, tensor, strings.data());
  return strings;
}

}  // namespace waypost
