// EvaluateSummary: what a summary operation of a graph gives.
#pragma once

#include <functional>

#include "graph/graph_model.h"
#include "summary/tensor_values.h"
#include "waypost/summary.h"

namespace waypost {

// Finds the value of an input, a placeholder's or a variable's.  May throw.
using ValueOf = std::function<ConstTensorView(const Output& input)>;

// Throws kInvalidArgument for an output that is no summary, a value that is no scalar where one is
// asked for, NaN or infinity in a histogram, two values of one tag, a merge that is merged twice or
// into itself; and what `value_of` and a device throw.
Summary EvaluateSummary(const GraphModel& graph, const Output& summary, const ValueOf& value_of,
                        const TensorMemory& memory);

}  // namespace waypost
