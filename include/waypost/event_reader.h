// EventReader: the events of a run, as TensorBoard reads them.
//
//   for (EventReader reader("logs"); const auto event = reader.Next();) {
//     for (const SummaryValue& value : event->Values()) {
//       if (const auto scalar = value.Scalar()) Plot(value.tag, event->step(), *scalar);
//     }
//   }
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "waypost/error.h"
#include "waypost/event.h"

namespace waypost {

// A file that ends within a record: its writer was killed, or is not done.
struct TornTail {
  std::string path;
  std::uint64_t offset = 0;      // where the record begins
  std::uint64_t size_bytes = 0;  // how much of it is there
};

// One thread at a time.  A file that is being written is read up to its last whole record at the
// moment when it is begun.  Memory: the event that is given, and the files' pages.
class EventReader {
 public:
  // An event file, or a directory: then all files whose name contains "tfevents", in the order of
  // their names, without those of subdirectories (which are other runs).  kNotFound when `path`
  // does not exist.
  explicit EventReader(const std::string& path);
  ~EventReader();
  EventReader(EventReader&&) noexcept;
  EventReader& operator=(EventReader&&) noexcept;

  // The next event; nullopt at the end.  Throws kDataLoss, naming file and offset, for a record
  // whose checksum does not match or that is no event; every later call throws it again.
  std::optional<Event> Next();

  // The file and the offset of the record that Next gave last.
  const std::string& path() const noexcept;
  std::uint64_t offset() const noexcept;
  // Of the files read so far, skipped each with its first byte that is not whole.
  const std::vector<TornTail>& torn_tails() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The last step that TensorBoard shows of a run: the largest one of its summaries, without those
// that a later SessionLog START has taken back (the run's first START takes back nothing).  nullopt
// without any, also when there is no such directory.  A job that resumes at a step up to this one
// calls FileWriter::AddSessionStart with the first step that it will write; for any other it does
// no harm.  Throws what EventReader throws.
std::optional<std::int64_t> LastStep(const std::string& logdir);

}  // namespace waypost
