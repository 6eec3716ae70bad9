// Session: which memory a graph's variables stand for.
#pragma once

#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "waypost/engine.h"
#include "waypost/graph.h"
#include "waypost/summary.h"
#include "waypost/tensor.h"

namespace waypost {

// What a placeholder is fed with: a number, or a borrowed tensor of the placeholder's dtype.
class Feed {
 public:
  Feed(double scalar);  // NOLINT(google-explicit-constructor): {{loss, 0.5}} is the point
  Feed(const ConstTensorView& view);  // NOLINT(google-explicit-constructor)

  bool is_scalar() const noexcept { return is_scalar_; }
  double scalar() const noexcept { return scalar_; }
  const ConstTensorView& view() const noexcept { return view_; }

 private:
  bool is_scalar_ = false;
  double scalar_ = 0;
  ConstTensorView view_;
};

struct RunOptions {
  // The caller's stream, as in SaveOptions: what it holds now is done before a value of a device's
  // memory is read.
  void* stream = nullptr;
};

// One thread at a time.  Engine and graph must outlive it; memory given to Bind as well.
class Session {
 public:
  Session(Engine& engine, Graph& graph);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Lets `variable` stand for borrowed memory.  kInvalidArgument when dtype or shape differ, or the
  // variable is of another graph; kAlreadyExists when it is bound to other memory already.
  void Bind(const Variable& variable, const TensorView& view);
  // Gives every variable that is not bound zeroed memory of the session's own.
  void Initialize();
  // The memory behind a variable.  kFailedPrecondition when there is none.
  TensorView Value(const Variable& variable) const;

  // Evaluates a summary operation, also one of an imported graph.  Its inputs are constants,
  // placeholders, which must be fed, and variables, which must be bound; nothing is computed.
  // kInvalidArgument for an operation that is no summary, a missing feed, a wrong dtype or shape,
  // NaN or infinity in a histogram, two values of one tag; what a lost device throws.  A histogram
  // of an accelerator's memory is counted there where it can; its sums may then be added in another
  // order than the host's, the same one every time.
  Summary Run(const Output& summary, std::initializer_list<std::pair<Output, Feed>> feeds,
              const RunOptions& options = {}) const;
  Summary Run(const Output& summary, const std::vector<std::pair<Output, Feed>>& feeds,
              const RunOptions& options = {}) const;

  Engine& engine() const noexcept;
  Graph& graph() const noexcept;

  // ---- For Saver ----
  // The variable's memory, refused (kFailedPrecondition with its name) when it is unbound or
  // undefined.
  TensorView SavableValue(const Variable& variable) const;
  // Marks variables whose content a failed restore left undefined, or clears the mark.
  void SetUndefined(const Variable& variable, bool undefined);
  // The session's memory is read until the save is staged; the destructor waits for that.
  void AddPendingSave(const SaveHandle& save);
  // Returns when no save reads the session's memory any more.
  void WaitForPendingSaves();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace waypost
