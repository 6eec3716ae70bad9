// Feeds: what one Session::Run is fed with, checked and as tensors.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph_model.h"
#include "waypost/session.h"
#include "waypost/tensor.h"

namespace waypost {

// "float32 [2,3]", for messages.
std::string TensorSpecText(DType dtype, const Shape& shape);

// Views of borrowed tensors and of numbers that it holds itself: it must outlive what Find() gives.
class Feeds {
 public:
  // Throws kInvalidArgument for a feed of something that is no placeholder or variable of the
  // graph, of another dtype or shape, a number that the dtype cannot hold, and two feeds of one
  // output.
  Feeds(const Graph::Impl& graph, const std::vector<std::pair<Output, Feed>>& feeds);
  Feeds(const Feeds&) = delete;
  Feeds& operator=(const Feeds&) = delete;

  // nullptr when it is not fed.
  const ConstTensorView* Find(const Output& input) const;

 private:
  struct Tensor {
    std::array<std::byte, 8> number = {};  // what `view` shows when a number was fed
    ConstTensorView view = {};
  };

  void Add(const Graph::Impl& graph, const Output& output, const Feed& feed);

  std::map<std::size_t, Tensor> tensors_;  // by node; its elements stay where they are
};

}  // namespace waypost
