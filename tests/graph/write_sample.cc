// Writes what tests/python/check_graph.py gives to the real TensorFlow and TensorBoard:
//
//   graph_sample DIR   ->   DIR/plain.meta  DIR/sharded.meta  DIR/graph.pbtxt  DIR/graph.pb
//   DIR/logs/...
#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "io/file_system.h"
#include "waypost/file_writer.h"
#include "waypost/meta_graph.h"
#include "waypost/saver.h"
#include "waypost/session.h"

namespace waypost {
namespace {

struct EventGraph {
  Graph graph;
  Output loss;
  Output weights;
  Output summaries;
};

// One variable of each dtype that TensorFlow can initialise and save, on two devices.
EventGraph MakeGraph() {
  EventGraph sample;
  for (int number = 1; number <= 30; ++number) {
    const auto dtype = static_cast<DType>(number);
    const std::string name(DTypeName(dtype));
    if (dtype == DType::kResource || dtype == DType::kVariant || name.front() == 'q' ||
        name.find("fnuz") != std::string::npos) {
      continue;
    }
    sample.graph.AddVariable("v/" + name, {.dtype = dtype,
                                           .shape = {2, 3},
                                           .device = number % 2 == 0 ? "/device:CPU:0" : "",
                                           .trainable = dtype == DType::kFloat32});
  }
  sample.graph.AddVariable("scalar", {.trainable = false});
  sample.loss = sample.graph.AddPlaceholder("loss", DType::kFloat32, {});
  sample.weights = sample.graph.AddPlaceholder("weights", DType::kFloat64, {-1});
  const NameScope scope(sample.graph, "summaries");
  summary::Scalar(sample.graph, "loss", sample.loss);
  summary::Histogram(sample.graph, "weights", sample.weights);
  sample.summaries = summary::MergeAll(sample.graph);
  return sample;
}

void WriteMetaGraph(const std::string& path, bool sharded) {
  EventGraph sample = MakeGraph();
  const SaverDef saver = *Saver(sample.graph, {.sharded = sharded}).AsSaverDef();
  const std::string meta = ExportMetaGraph(sample.graph, saver).Serialize();
  ReplaceFile(PosixFileSystem(), path, path + ".tmp", AsBytes(meta));
}

void WriteEvents(const std::string& logdir) {
  Engine engine({.staging_bytes = 16 << 20});
  EventGraph sample = MakeGraph();
  const Session session(engine, sample.graph);
  FileWriter writer(logdir, sample.graph);
  const auto write_steps = [&](int begin, int end, double factor) {
    for (int step = begin; step < end; ++step) {
      const std::vector<double> weights = {factor * step, 1.5, -2.5};
      const ConstTensorView view(weights.data(), DType::kFloat64, {3});
      writer.AddSummary(
          session.Run(sample.summaries, {{sample.loss, factor * step}, {sample.weights, view}}),
          step);
    }
  };
  writer.AddSessionStart(0);
  write_steps(0, 8, 0.25);  // an earlier run, killed at step 8
  writer.AddSessionStart(5);
  write_steps(5, 10, 0.5);  // and resumed from step 5
  writer.Close();
}

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: graph_sample DIR\n", stderr);
    return 2;
  }
  const std::string dir = argv[1];
  try {
    waypost::CreateDirectories(waypost::PosixFileSystem(), dir);
    waypost::WriteMetaGraph(waypost::JoinPath(dir, "plain.meta"), false);
    waypost::WriteMetaGraph(waypost::JoinPath(dir, "sharded.meta"), true);
    const waypost::EventGraph sample = waypost::MakeGraph();
    waypost::WriteGraph(sample.graph, dir, "graph.pbtxt");
    waypost::WriteGraph(sample.graph, dir, "graph.pb", false);
    waypost::WriteEvents(waypost::JoinPath(dir, "logs"));
  } catch (const waypost::Error& error) {
    fmt::print(stderr, "graph_sample: {}\n", error.what());
    return 1;
  }
  return 0;
}
