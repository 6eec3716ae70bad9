// GraphOwner: a graph as Python has it, and the scopes that are open in it.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "bindings/bindings.h"
#include "waypost/graph.h"

namespace waypost::python {

// A graph and its savers and sessions are for one thread at a time: whoever uses one of them does
// so through With.
class GraphOwner {
 public:
  // Calls `work` with the graph, and with nobody else in it.  Without the GIL, so that a thread
  // that waits here does not stop the others: `work` must touch nothing of Python's.
  template <typename Work>
  auto With(Work work) {
    const nb::gil_scoped_release release;
    return WithoutGil(work);
  }
  // The same for a thread that has no GIL.
  template <typename Work>
  auto WithoutGil(Work work) {
    const std::lock_guard lock(mutex_);
    return work(graph_);
  }
  // Only to know it by.
  const Graph& identity() const noexcept { return graph_; }

 private:
  std::mutex mutex_;
  Graph graph_;  // Guarded by mutex_.
};

// A NameScope or a DeviceScope that Python closes.
template <typename Scope>
class ScopeOwner {
 public:
  ScopeOwner(GraphOwner& graph, const std::string& name) : graph_(graph) {
    graph_.With([&](Graph& entered) { scope_.emplace(entered, name); });
  }
  ~ScopeOwner() { Close(); }
  ScopeOwner(const ScopeOwner&) = delete;
  ScopeOwner& operator=(const ScopeOwner&) = delete;

  const Scope& scope() const noexcept { return *scope_; }
  void Close() {
    graph_.With([&](Graph&) { scope_.reset(); });
  }

 private:
  GraphOwner& graph_;
  std::optional<Scope> scope_;
};

}  // namespace waypost::python
