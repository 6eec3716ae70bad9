// Savers of .meta files that TensorFlow wrote (tests/golden): each restores its checkpoint and
// saves it again, in its own format and under its own names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/v1_names.h"
#include "support/temp_dir.h"
#include "support/test_engine.h"
#include "support/test_paths.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/meta_graph.h"
#include "waypost/saver.h"

namespace waypost {
namespace {

struct Golden {
  std::string meta;
  std::string prefix;
  bool is_v1 = false;
};

class ImportedSaver : public ::testing::TestWithParam<Golden> {};

// The bytes of a tensor, or its strings.
std::string Content(const CheckpointReader& reader, const CheckpointReader::TensorInfo& tensor) {
  const auto count = static_cast<std::size_t>(ElementCount(tensor.shape));
  if (tensor.dtype == DType::kString) {
    std::vector<std::string> strings(count);
    reader.Read(tensor.name, TensorView(strings.data(), tensor.dtype, tensor.shape));
    std::string joined;
    for (const std::string& text : strings) joined += std::to_string(text.size()) + ':' + text;
    return joined;
  }
  std::string bytes(count * ElementBytes(tensor.dtype), '\0');
  reader.Read(tensor.name, TensorView(bytes.data(), tensor.dtype, tensor.shape));
  return bytes;
}

TEST_P(ImportedSaver, RestoresAndSavesAgain) {
  const std::string golden = TestDataDir() + "/golden/";
  Engine engine = TestEngine();
  Graph graph;
  std::optional<Saver> saver = ImportMetaGraph(graph, golden + GetParam().meta);
  ASSERT_TRUE(saver);
  EXPECT_EQ(saver->AsSaverDef(), MetaGraph::Read(golden + GetParam().meta).saver_def());
  Session session(engine, graph);
  session.Initialize();
  saver->Restore(session, golden + GetParam().prefix);
  const TempDir dir;
  const std::string path = saver->Save(session, dir.File("again"));
  const CheckpointReader original(golden + GetParam().prefix);
  const CheckpointReader again(path);
  EXPECT_EQ(again.is_v1(), GetParam().is_v1);
  EXPECT_EQ(again.shard_count(), original.shard_count());
  const auto tensors = original.List();
  ASSERT_EQ(again.List().size(), tensors.size());
  for (const CheckpointReader::TensorInfo& tensor : tensors) {
    const auto found = again.Find(tensor.name);
    ASSERT_TRUE(found) << tensor.name;
    EXPECT_EQ(found->shape, tensor.shape);
    EXPECT_EQ(found->extents.size(), tensor.extents.size()) << tensor.name;
    EXPECT_TRUE(Content(again, *found) == Content(original, tensor)) << tensor.name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    OfTensorFlow, ImportedSaver,
    ::testing::Values(Golden{"v2_single/all.ckpt-11.meta", "v2_single/all.ckpt-11"},
                      Golden{"v2_sharded/sh.ckpt-100.meta", "v2_sharded/sh.ckpt-100"},
                      Golden{"v2_partitioned/part.ckpt.meta", "v2_partitioned/part.ckpt"},
                      Golden{"v2_partitioned_sharded/ps.ckpt-5.meta",
                             "v2_partitioned_sharded/ps.ckpt-5"},
                      Golden{"graph/model.ckpt-1.meta", "graph/model.ckpt-1"},
                      Golden{"graph/model.meta.pbtxt", "graph/model.ckpt-1"},
                      Golden{"v1/old.ckpt-3.meta", "v1/old.ckpt-3", true},
                      Golden{"v1/shard.ckpt-4.meta", V1ShardedPath("v1/shard.ckpt-4", 2), true}));

}  // namespace
}  // namespace waypost
