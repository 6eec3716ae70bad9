// Summaries of a graph that TensorFlow wrote: run here, they show what TensorFlow's own run of them
// left in the same event file (tests/golden/events/tf1).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/test_engine.h"
#include "support/test_paths.h"
#include "waypost/event_reader.h"
#include "waypost/meta_graph.h"
#include "waypost/session.h"
#include "wire/summary_messages.h"

namespace waypost {
namespace {

using nlohmann::json;

struct GoldenRun {
  std::string meta_graph;
  std::map<std::int64_t, std::string> summaries;  // by their steps
};

GoldenRun ReadRun() {
  GoldenRun run;
  EventReader reader(TestDataDir() + "/golden/events/tf1");
  while (const std::optional<Event> event = reader.Next()) {
    if (event->kind() == EventKind::kMetaGraphDef) run.meta_graph = event->payload();
    if (event->kind() == EventKind::kSummary) run.summaries[event->step()] = event->payload();
  }
  return run;
}

std::vector<float> HistogramInput(std::int64_t step) {
  std::ifstream stream(TestDataDir() + "/golden/expected.json");
  const json expected = json::parse(stream);
  std::vector<float> numbers;
  for (const json& value : expected["histogram_inputs"][std::to_string(step)]) {
    numbers.push_back(value.is_string() ? std::stof(value.get<std::string>()) : value.get<float>());
  }
  return numbers;
}

// The bytes of a summary but for what the two write differently: the compressed pixels, and the
// metadata, which TensorFlow's FileWriter took out of all values but the first of a tag.
std::string Comparable(const Summary& summary) {
  std::vector<SummaryValue> values = summary.Values();
  for (SummaryValue& value : values) {
    value.metadata.reset();
    if (auto* const image = std::get_if<ImageData>(&value.value)) image->encoded.clear();
  }
  return EncodeSummary(values);
}

TEST(ImportedSummaries, HaveTensorFlowsBytes) {
  const GoldenRun run = ReadRun();
  Engine engine = TestEngine();
  Graph graph;
  ImportMetaGraphInto(graph, MetaGraph::Parse(run.meta_graph));
  const Session session(engine, graph);
  const Output merged = graph.Find("Merge/MergeSummary");
  for (const std::int64_t step : {0, 1, 2, 3}) {
    const std::vector<float> numbers = HistogramInput(step);
    const ConstTensorView view(numbers.data(), DType::kFloat32,
                               {static_cast<std::int64_t>(numbers.size())});
    const Summary summary = session.Run(
        merged, {{graph.Find("v"), 0.25 * static_cast<double>(step)}, {graph.Find("h"), view}});
    EXPECT_EQ(Comparable(summary), Comparable(Summary::Parse(run.summaries.at(step)))) << step;
  }
}

}  // namespace
}  // namespace waypost
