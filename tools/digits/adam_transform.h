// Adam's update of a tensor as one Thrust transform, for any of Thrust's back ends.
#pragma once

#include <thrust/for_each.h>
#include <thrust/iterator/zip_iterator.h>
#include <thrust/zip_function.h>

#include <cstddef>

#include "digits/adam.h"

namespace waypost::digits {

// `count` floats each.
struct AdamTensors {
  float* weights = nullptr;
  float* m = nullptr;
  float* v = nullptr;
  const float* gradients = nullptr;
  std::size_t count = 0;
};

template <typename Policy>
void TransformByAdam(const Policy& policy, const AdamTensors& tensors, const AdamStep& step) {
  const auto first =
      thrust::make_zip_iterator(tensors.weights, tensors.m, tensors.v, tensors.gradients);
  thrust::for_each_n(policy, first, tensors.count, thrust::make_zip_function(step));
}

}  // namespace waypost::digits
