// The graph of design's first example: variables of several dtypes and devices, a placeholder,
// summaries, a saver.
#pragma once

#include <algorithm>
#include <vector>

#include "graph/saver_nodes.h"
#include "waypost/graph.h"
#include "waypost/summary.h"

namespace waypost {

// All variables of the graph as a saver without a var_list has them.
inline std::vector<SaverEntry> EntriesOf(const Graph& graph) {
  std::vector<SaverEntry> entries;
  for (const Variable& variable : graph.variables()) {
    entries.push_back({.name = variable.name(), .variable = variable, .device = variable.device()});
  }
  std::ranges::sort(entries, {}, &SaverEntry::name);
  return entries;
}

struct SampleGraph {
  explicit SampleGraph(bool sharded = false) {
    kernel = graph.AddVariable("kernel", {.shape = {6, 4}, .device = "/device:CPU:0"});
    step = graph.AddVariable("step", {.dtype = DType::kInt64, .trainable = false});
    loss = graph.AddPlaceholder("loss", DType::kFloat32, {});
    rows = graph.AddPlaceholder("rows", DType::kFloat64, {-1, 3});
    {
      const NameScope scope(graph, "summaries");
      summary::Scalar(graph, "loss", loss);
      summary::Histogram(graph, "rows", rows);
    }
    merged = summary::MergeAll(graph);
    saver = AddSaverNodes(graph.impl(), {.sharded = sharded}, EntriesOf(graph));
  }

  Graph graph;
  Variable kernel;
  Variable step;
  Output loss;
  Output rows;
  Output merged;
  SaverDef saver;
};

}  // namespace waypost
