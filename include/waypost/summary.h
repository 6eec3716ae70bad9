// Summaries for TensorBoard: operations that a graph holds, and the message they evaluate to.
//
// Tags and values are TensorFlow's (python/summary/summary.py, core/lib/histogram/histogram.cc).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "waypost/graph.h"
#include "waypost/tensor.h"

namespace waypost {

// A Summary message.  Opaque: what it holds is seen by serializing it.
class Summary {
 public:
  Summary() = default;
  // kDataLoss when the bytes are no Summary message.
  static Summary Parse(std::string_view serialized);
  const std::string& Serialize() const noexcept { return serialized_; }

 private:
  std::string serialized_;
};

namespace summary {

// Each adds an operation to the graph's collection of summaries and returns its output.  The tag is
// the name, cleaned and made unique, within the current NameScope.
Output Scalar(Graph& graph, const std::string& name, const Output& value);
Output Histogram(Graph& graph, const std::string& name, const Output& values);

// One operation that merges all summaries of the graph.  kFailedPrecondition when it has none.
Output MergeAll(Graph& graph);

}  // namespace summary
}  // namespace waypost
