// EventLog: what a save knows of an event file that a job writes beside its checkpoints.
//
//   FileWriter -> Graph::Impl, whose events they are -> Saver -> SaveRequest -> SaveJob
//   (waypost-meta)
//
// Threads: any, at any time, also while the log's owner closes it, and after that.
#pragma once

namespace waypost {

class EventLog {
 public:
  virtual ~EventLog() = default;
  // Returns when every event added before is durable.  Throws the log's error, which its owner is
  // told of all the same.
  virtual void MakeDurable() = 0;
};

}  // namespace waypost
