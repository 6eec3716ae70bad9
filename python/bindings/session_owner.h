// SessionOwner: a session as Python has it.
#pragma once

#include <optional>

#include "bindings/engine_owner.h"
#include "bindings/graph_owner.h"
#include "bindings/tensor.h"
#include "waypost/session.h"

namespace waypost::python {

// Used through its graph, for one thread at a time.  Its destructor waits for saves that read its
// memory, which needs no GIL; nanobind's keep_alive holds what it borrows until that has ended.
class SessionOwner {
 public:
  SessionOwner(EngineOwner& engine, GraphOwner& graph);
  ~SessionOwner();
  SessionOwner(const SessionOwner&) = delete;
  SessionOwner& operator=(const SessionOwner&) = delete;

  // Calls `work` with the session; throws kFailedPrecondition when the engine is closed.
  template <typename Work>
  auto With(Work work) {
    const std::shared_ptr<Engine> kept = engine();
    return graph_.With([&](Graph&) { return work(*session_); });
  }
  // The same for a thread that has no GIL, and has the engine.
  template <typename Work>
  auto WithoutGil(Work work) {
    return graph_.WithoutGil([&](Graph&) { return work(*session_); });
  }
  std::shared_ptr<Engine> engine() { return engine_.engine(); }

 private:
  EngineOwner& engine_;
  GraphOwner& graph_;
  std::optional<Session> session_;
};

}  // namespace waypost::python
