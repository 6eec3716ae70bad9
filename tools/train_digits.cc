// train_digits: the demonstration.  Trains a small network on handwritten digits, saves every 1000
// steps, and continues where the latest checkpoint was when it is started again.
//
// The loop is the one that include/waypost is made for.  The network itself is in digits/.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "digits/dataset.h"
#include "digits/device_state.h"
#include "digits/trainer.h"
#include "waypost/checkpoint_state.h"
#include "waypost/engine.h"
#include "waypost/error.h"
#include "waypost/file_writer.h"
#include "waypost/graph.h"
#include "waypost/saver.h"
#include "waypost/session.h"
#include "waypost/summary.h"

namespace waypost::digits {
namespace {

constexpr std::int64_t kStepsPerSummary = 20;
// A run of this many steps has to reach this share of right answers on images it has not learned
// from.
constexpr std::int64_t kEnoughSteps = 5000;
constexpr double kAccuracyMin = 0.95;

struct Options {
  std::filesystem::path directory;
  std::string data;
  std::int64_t steps = 10000;
  std::int64_t save_every = 1000;
  std::uint64_t seed = 7;
  std::string device = "cpu";
};

// The data file of the source tree that this program was built in: it lies in build/PRESET/bin.
std::string DefaultDataPath() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  return (program.parent_path() / "../../../tools/data/digits.csv").lexically_normal().string();
}

// A variable of the graph and the trainer's memory that it stands for.
using Bindings = std::vector<std::pair<Variable, TensorView>>;

// Parameters on the host, or where `device_memory` has them.
void AddParameters(Graph& graph, Trainer& trainer, Parameters& parameters,
                   float* (DeviceState::*device_memory)(std::size_t), const std::string& suffix,
                   Bindings& bindings) {
  DeviceState* const device = trainer.device();
  for (std::size_t i = 0; i < parameters.tensors.size(); ++i) {
    Parameter& parameter = parameters.tensors[i];
    const Variable variable = graph.AddVariable(
        parameter.name + suffix, {.dtype = DType::kFloat32,
                                  .shape = parameter.shape,
                                  .device = device == nullptr ? "/device:CPU:0" : "/device:GPU:0",
                                  .trainable = suffix.empty()});
    float* const memory = device == nullptr ? parameter.values.data() : (device->*device_memory)(i);
    bindings.emplace_back(variable, TensorView(memory, DType::kFloat32, parameter.shape));
  }
}

// All that the next step depends on: what is not here would be lost by a restart.
Bindings AddState(Graph& graph, Trainer& trainer) {
  Bindings bindings;
  AddParameters(graph, trainer, trainer.weights(), &DeviceState::weights, "", bindings);
  // TensorFlow's names of the slots.
  AddParameters(graph, trainer, trainer.adam_m(), &DeviceState::adam_m, "/Adam", bindings);
  AddParameters(graph, trainer, trainer.adam_v(), &DeviceState::adam_v, "/Adam_1", bindings);
  const VariableOptions step = {
      .dtype = DType::kInt64, .device = "/device:CPU:0", .trainable = false};
  bindings.emplace_back(graph.AddVariable("global_step", step),
                        TensorView(&trainer.step(), DType::kInt64, {}));
  BatchSource::State& batches = trainer.batches().state();
  const VariableOptions state = {.dtype = DType::kUInt64,
                                 .shape = {static_cast<std::int64_t>(batches.size())},
                                 .device = "/device:CPU:0",
                                 .trainable = false};
  bindings.emplace_back(graph.AddVariable("batches", state),
                        TensorView(batches.data(), DType::kUInt64, state.shape));
  return bindings;
}

// The stream that the state is written on; null for the host.
void* StreamOf(Trainer& trainer) {
  return trainer.device() == nullptr ? nullptr : trainer.device()->stream();
}

// Restores the latest checkpoint, if there is one.
void Resume(Saver& saver, Session& session, Trainer& trainer, const Options& options) {
  const auto state = GetCheckpointState((options.directory / "checkpoints").string());
  if (!state) return;
  saver.Restore(session, state->model_checkpoint_path, {.stream = StreamOf(trainer)});
  saver.RecoverLastCheckpoints(state->all_model_checkpoint_paths);
  const std::uint64_t seed = trainer.batches().state()[0];
  if (seed != options.seed) {
    // Another seed splits the images otherwise: it would test with images that were learned from.
    throw Error(Code::kFailedPrecondition,
                fmt::format("resume {}: the run was started with --seed {}, not {}",
                            state->model_checkpoint_path, seed, options.seed));
  }
  fmt::print("restored step {} from {}\n", trainer.step(), state->model_checkpoint_path);
}

// Trains up to options.steps; returns the share of right answers on the test images.
double Train(const Options& options, std::unique_ptr<DeviceState> device) {
  const Dataset data = LoadDigits(options.data);
  Trainer trainer(data, options.seed, std::move(device));

  Engine engine({.staging_bytes = std::size_t{16} << 20});
  Graph graph;
  const Bindings bindings = AddState(graph, trainer);
  const Output loss = graph.AddPlaceholder("loss", DType::kFloat32, {});
  const Output accuracy = graph.AddPlaceholder("accuracy", DType::kFloat32, {});
  {
    NameScope scope(graph, "summaries");
    summary::Scalar(graph, "loss", loss);
    summary::Scalar(graph, "accuracy", accuracy);
    summary::Histogram(graph, "histogram_loss", loss);
  }
  const Output summary_op = summary::MergeAll(graph);
  Saver saver(graph, {.max_to_keep = 5, .sharded = true});
  Session session(engine, graph);
  for (const auto& [variable, view] : bindings) session.Bind(variable, view);

  Resume(saver, session, trainer, options);
  FileWriter writer((options.directory / "graphs").string());
  writer.AddSessionStart(trainer.step());
  writer.AddGraph(graph);
  const std::string save_path = (options.directory / "checkpoints" / "model.ckpt").string();
  while (trainer.step() < options.steps) {
    const std::int64_t step = trainer.step();
    const Evaluation batch = trainer.ForwardBackward();  // only reads what is being saved
    if (step % kStepsPerSummary == 0) {
      const double test_accuracy = trainer.EvaluateTest().accuracy;
      writer.AddSummary(session.Run(summary_op, {{loss, batch.loss}, {accuracy, test_accuracy}}),
                        step);
    }
    saver.WaitStaged();
    trainer.ApplyUpdate();
    if ((step + 1) % options.save_every == 0 || step + 1 == options.steps) {
      const SaveHandle save = saver.SaveAsync(
          session, save_path, {.stream = StreamOf(trainer), .global_step = step + 1});
      fmt::print("step {:5}  loss {:.4f}  saving {}\n", step + 1, batch.loss, save.prefix());
      std::fflush(stdout);
    }
  }
  saver.WaitCommitted();
  writer.Close();
  return trainer.EvaluateTest().accuracy;
}

int Main(int argc, char** argv) {
  Options options;
  options.data = DefaultDataPath();
  const CLI::Range count(std::int64_t{1}, std::int64_t{1'000'000'000});
  CLI::App app("Trains a network on handwritten digits, saving and resuming with Waypost.");
  app.add_option("--dir", options.directory, "checkpoints/ and graphs/ are made in this directory")
      ->required();
  app.add_option("--data", options.data, "the images, as tools/data/README.md describes")
      ->capture_default_str();
  app.add_option("--steps", options.steps)->check(count)->capture_default_str();
  app.add_option("--save-every", options.save_every)->check(count)->capture_default_str();
  app.add_option("--seed", options.seed,
                 "of the split, the first weights and the order of the images")
      ->capture_default_str();
  app.add_option("--device", options.device,
                 "cpu, or cuda:N: weights and Adam's moments in the memory of a GPU")
      ->check([](const std::string& device) {
        return device == "cpu" || device.starts_with("cuda:") ? "" : "must be cpu or cuda:N";
      })
      ->capture_default_str();
  std::unique_ptr<DeviceState> device;
  try {
    app.parse(argc, argv);
    if (options.device != "cpu") device = MakeDeviceState(options.device);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    fmt::print(stderr, "train_digits: {}\n", error.what());
    return 2;
  } catch (const Error& error) {
    fmt::print(stderr, "train_digits: --device {}\n", error.what());
    return 2;
  }
  const double accuracy = Train(options, std::move(device));
  fmt::print("test accuracy {:.4f} after {} steps\n", accuracy, options.steps);
  if (options.steps >= kEnoughSteps && accuracy < kAccuracyMin) {
    fmt::print(stderr, "train_digits: the accuracy is below {}\n", kAccuracyMin);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace waypost::digits

int main(int argc, char** argv) {
  try {
    return waypost::digits::Main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "train_digits: {}\n", error.what());
    return 1;
  }
}
