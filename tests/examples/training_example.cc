// The second example of README.md, as it stands there: run twice, the second run goes on where the
// first one stopped.
#include <gtest/gtest.h>

#include <vector>

#include "examples/in_temp_dir.h"
#include "waypost/waypost.h"

namespace {

struct Gradients {
  float loss = 0;
};

// What stands for a model: one step adds one to every weight.
class Model {
 public:
  Model() : kernel_(64 * 10) {}
  waypost::TensorView view() { return {kernel_.data(), waypost::DType::kFloat32, {64, 10}}; }
  Gradients ForwardBackward() const { return {.loss = 1.0F / (1.0F + kernel_.front())}; }
  void ApplyUpdate(const Gradients& /*gradients*/) {
    for (float& weight : kernel_) weight += 1.0F;
  }
  const std::vector<float>& kernel() const { return kernel_; }

 private:
  std::vector<float> kernel_;
};

void Train(Model& model, std::int64_t steps) {
  using enum waypost::DType;
  const waypost::TensorView view = model.view();
  const auto ForwardBackward = [&] { return model.ForwardBackward(); };
  const auto ApplyUpdate = [&](const Gradients& gradients) { model.ApplyUpdate(gradients); };
  waypost::Engine engine;
  std::int64_t step = 0;

  // clang-format off
  waypost::Graph graph;                                          // names, dtypes, shapes, devices; becomes GraphDef
  auto kernel = graph.AddVariable("kernel", {.dtype = kFloat32, .shape = {64, 10}, .device = "/device:CPU:0"});
  auto global_step = graph.AddVariable("global_step", {.dtype = kInt64, .shape = {}, .trainable = false});
  auto loss = graph.AddPlaceholder("loss", kFloat32, {});
  {
    waypost::NameScope scope(graph, "summaries");
    waypost::summary::Scalar(graph, "loss", loss);
    waypost::summary::Histogram(graph, "histogram_loss", loss);
  }
  auto summary_op = waypost::summary::MergeAll(graph);
  waypost::Saver saver(graph, {.max_to_keep = 5, .sharded = true});   // after the variables, as in TensorFlow
  waypost::Session session(engine, graph);
  session.Bind(kernel, view);                                    // borrowed memory; or session.Initialize() for owned memory
  session.Bind(global_step, {&step, kInt64, {}});

  if (auto state = waypost::GetCheckpointState("checkpoints")) saver.Restore(session, state->model_checkpoint_path);
  waypost::FileWriter writer("graphs", graph);
  writer.AddSessionStart(step);                                  // TensorBoard drops what an earlier run wrote from there on
  while (step < steps) {
    auto gradients = ForwardBackward();                          // only reads the variables
    saver.WaitStaged();                                          // no-op when nothing is pending
    ApplyUpdate(gradients);
    ++step;
    writer.AddSummary(session.Run(summary_op, {{loss, gradients.loss}}), step);   // Run evaluates summaries only
    if (step % 1000 == 0) saver.SaveAsync(session, "checkpoints/model.ckpt", {.global_step = global_step});
  }
  saver.WaitCommitted();
  writer.Close();
  // clang-format on
}

TEST(ReadmeExample, TrainsSavesAndGoesOn) {
  const InTempDir in_temp_dir;
  Model first;
  Train(first, 2500);
  EXPECT_EQ(first.kernel().front(), 2500.0F);
  const auto state = waypost::GetCheckpointState("checkpoints");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->model_checkpoint_path, "checkpoints/model.ckpt-2000");
  EXPECT_EQ(state->all_model_checkpoint_paths.size(), 2U);

  Model second;
  Train(second, 4000);
  EXPECT_EQ(second.kernel().front(), 4000.0F)
      << "the second run began with the first one's weights and step";
  EXPECT_EQ(waypost::LatestCheckpoint("checkpoints"), "checkpoints/model.ckpt-4000");
}

}  // namespace
