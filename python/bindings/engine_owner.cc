#include "bindings/engine_owner.h"

#include <fmt/format.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "manage/engine_impl.h"
#include "waypost/error.h"

namespace waypost::python {
namespace {

template <typename Value>
Value Choice(const std::map<std::string, Value>& choices, const std::string& name,
             const char* what) {
  const auto found = choices.find(name);
  if (found != choices.end()) return found->second;
  std::string known;
  for (const auto& [choice, value] : choices)
    known += fmt::format("{}'{}'", known.empty() ? "" : ", ", choice);
  throw Error(Code::kInvalidArgument, fmt::format("{} '{}': not one of {}", what, name, known));
}

CheckStable CheckStableOf(const std::string& name) {
  return Choice<CheckStable>({{"devices", CheckStable::kDevices},
                              {"all", CheckStable::kAll},
                              {"none", CheckStable::kNone}},
                             name, "check_stable");
}

}  // namespace

Staging StagingOf(const std::string& name) {
  return Choice<Staging>({{"lazy", Staging::kLazy},
                          {"full_copy", Staging::kFullCopy},
                          {"device_copy", Staging::kDeviceCopy}},
                         name, "staging");
}

EngineOwner::EngineOwner(std::size_t staging_bytes, int io_threads,
                         std::uint64_t write_bytes_per_second_max, const std::string& check_stable)
    : pid_(::getpid()) {
  auto engine = std::make_unique<Engine>(
      EngineOptions{.staging_bytes = staging_bytes,
                    .io_threads = io_threads,
                    .write_bytes_per_second_max = write_bytes_per_second_max,
                    .check_stable = CheckStableOf(check_stable)});
  engine_ = std::shared_ptr<Engine>(engine.release(), [gone = gone_](Engine* last) {
    delete last;
    gone->count_down();
  });
}

std::shared_ptr<Engine> EngineOwner::engine() {
  if (engine_ == nullptr) throw Error(Code::kFailedPrecondition, "the engine is closed");
  return engine_;
}

std::vector<std::string> EngineOwner::Accelerators() {
  std::vector<std::string> names;
  const DeviceRegistry& devices = engine()->impl().devices();
  for (const Device* device : devices.all()) {
    if (device != &devices.host()) names.emplace_back(device->name());
  }
  return names;
}

void EngineOwner::Close() {
  std::shared_ptr<Engine> own = std::move(engine_);
  const nb::gil_scoped_release release;
  own.reset();
  // Whoever else has it is in a call, which ends; not in a forked child, which has no other
  // threads.
  if (::getpid() == pid_) gone_->wait();
}

}  // namespace waypost::python
