// Constant: the value of a Const node, one of Waypost's or of an imported graph.
//
//   GraphModel -> [Constant] -> EvaluateSummary
#pragma once

#include "graph/graph_model.h"
#include "waypost/event.h"
#include "waypost/tensor.h"

namespace waypost {

class Constant {
 public:
  // Throws kInvalidArgument, naming the node, for a value that is none or is not understood, and
  // for one that a small file blows up to many elements.
  explicit Constant(const Node& node);

  // Borrows this one's memory.
  ConstTensorView view() const;

 private:
  TensorData tensor_;  // every element
};

}  // namespace waypost
