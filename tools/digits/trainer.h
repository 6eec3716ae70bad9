// Trainer: the state of a training run and the two halves of a step.
//
// Everything that the next step depends on can be reached through the accessors, as plain memory
// that a Session can be bound to: that is what a checkpoint of the run holds.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "digits/batch_source.h"
#include "digits/dataset.h"
#include "digits/device_state.h"
#include "digits/network.h"

namespace waypost::digits {

class Trainer {
 public:
  // Splits `data` (borrowed) and makes the initial weights, all by `seed`.  With a `device`,
  // weights and Adam's moments are there, and those below are not the run's state.
  Trainer(const Dataset& data, std::uint64_t seed, std::unique_ptr<DeviceState> device = nullptr);

  DeviceState* device() noexcept { return device_.get(); }
  Parameters& weights() noexcept { return weights_; }
  Parameters& adam_m() noexcept { return adam_m_; }  // running means of the gradients
  Parameters& adam_v() noexcept { return adam_v_; }  // and of their squares
  std::int64_t& step() noexcept { return step_; }    // steps done
  BatchSource& batches() noexcept { return batches_; }

  // Loss, accuracy and, kept for ApplyUpdate, gradients of the next minibatch.  Only reads the
  // state: a checkpoint may be staged meanwhile.
  Evaluation ForwardBackward();
  // One step of Adam along these gradients.  Changes all of the state.
  void ApplyUpdate();

  Evaluation EvaluateTest();

 private:
  const Dataset* data_;
  Split split_;
  BatchSource batches_;
  Parameters weights_;
  Parameters adam_m_;
  Parameters adam_v_;
  std::int64_t step_ = 0;
  Parameters gradients_;
  std::unique_ptr<DeviceState> device_;
};

}  // namespace waypost::digits
