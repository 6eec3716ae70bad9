// A Saver saves an accelerator's variables behind the stream that its caller names.  What a save
// does behind it: tests/engine/accelerator_test.cc.
#include <gtest/gtest.h>

#include "manage/engine_impl.h"
#include "support/expect_error.h"
#include "support/fake_device.h"
#include "support/temp_dir.h"
#include "waypost/saver.h"

namespace waypost {
namespace {

// Its own address is its memory and the caller's stream, which it tells from others.
class MarkedDevice final : public FakeDevice {
 public:
  std::string_view name() const noexcept override { return "marked"; }
  bool Owns(const void* address) const noexcept override { return address == this; }
  Mark MarkStream(void* stream) override {
    throw Error(Code::kUnavailable, stream == this ? "the caller's stream" : "another stream");
  }
};

TEST(SaverOnAccelerator, SavesBehindTheCallersStream) {
  auto device = std::make_unique<MarkedDevice>();
  MarkedDevice* const memory = device.get();
  EngineParts parts{.options = {.staging_bytes = 16 << 20}};
  parts.devices.push_back(std::move(device));
  Engine engine(std::make_unique<Engine::Impl>(std::move(parts)));
  Graph graph;
  const Variable kernel = graph.AddVariable("kernel", {.shape = {100}});
  Session session(engine, graph);
  session.Bind(kernel, TensorView(memory, DType::kFloat32, {100}));
  Saver saver(graph);
  const TempDir dir;
  EXPECT_EQ(MessageOf([&] { saver.SaveAsync(session, dir.File("m"), {.stream = memory}); }),
            "the caller's stream");
  EXPECT_EQ(MessageOf([&] { saver.SaveAsync(session, dir.File("m")); }), "another stream");
}

}  // namespace
}  // namespace waypost
