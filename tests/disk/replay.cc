#include "disk/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "disk/mounted_disk.h"

namespace waypost {
namespace {

constexpr std::array<LateWrites, 3> kWays = {LateWrites::kAllLost, LateWrites::kSomeKept,
                                             LateWrites::kAllKept};

// Where something was done since the moment before, with all marks that follow it: then the most
// has been promised.
std::vector<std::size_t> MomentsOf(const std::vector<DiskEntry>& log) {
  std::vector<std::size_t> moments;
  for (std::size_t done = 0; done <= log.size(); ++done) {
    if (done == log.size() || log[done].event != DiskEvent::kMark) moments.push_back(done);
  }
  return moments;
}

}  // namespace

std::string ReplayedState::Name() const {
  const char* const fate = late == LateWrites::kAllKept   ? "kept"
                           : late == LateWrites::kAllLost ? "lost"
                                                          : "kept in part";
  return fmt::format("after {} entries, late writes {}", done, fate);
}

Replay::Replay(const RecordedDisks& disks, std::uint64_t seed)
    : disks_(disks), log_(disks.Log()), random_(seed), states_(disks.initial(), log_) {
  for (const std::string& initial : disks.initial()) {
    images_.push_back(std::make_unique<MemoryFile>(initial.size()));
  }
}

std::vector<ReplayedState> Replay::Choose(
    std::size_t count, const std::function<bool(const std::string& mark)>& is_promise) const {
  std::vector<std::size_t> moments = MomentsOf(log_);
  // Before the first mark the test still prepares the disks.
  const auto first = std::ranges::find(log_, DiskEvent::kMark, &DiskEntry::event);
  std::erase_if(moments, [&](std::size_t done) {
    return done <= static_cast<std::size_t>(first - log_.begin());
  });
  const bool is_every = count >= moments.size() * kWays.size();
  std::vector<ReplayedState> states;
  for (std::size_t i = 0; !is_every && i < count; ++i) {
    states.push_back(
        {.done = moments[(i + 1) * moments.size() / (count + 1)], .late = kWays[i % kWays.size()]});
  }
  for (const std::size_t done : moments) {
    if (is_every) {
      for (const LateWrites late : kWays) states.push_back({.done = done, .late = late});
      states.insert(states.end(), count / moments.size() - kWays.size(),
                    {.done = done, .late = LateWrites::kSomeKept});
      continue;
    }
    for (std::size_t i = done; i > 0 && log_[i - 1].event == DiskEvent::kMark; --i) {
      if (!is_promise(log_[i - 1].bytes)) continue;
      states.push_back({.done = done, .late = LateWrites::kAllLost});
      break;
    }
  }
  std::ranges::stable_sort(states, {}, &ReplayedState::done);
  return states;
}

void Replay::Look(const ReplayedState& state, const std::function<void()>& check) {
  std::vector<std::span<std::byte>> bytes;
  for (const auto& image : images_) bytes.push_back(image->bytes());
  states_.Make(state.done, state.late, random_, bytes);
  std::vector<std::unique_ptr<MountedDisk>> mounted;
  for (std::size_t i = 0; i < images_.size(); ++i) {
    mounted.push_back(std::make_unique<MountedDisk>(images_[i]->fd(), disks_.path(i)));
    ++mounts_;
  }
  ++looked_at_;
  check();
  for (const auto& disk : mounted) disk->Unmount();
}

std::string Replay::Counts() const {
  const auto count = [&](DiskEvent event) {
    return std::ranges::count(log_, event, &DiskEntry::event);
  };
  return fmt::format("{} writes, {} flushes recorded; {} states, {} mounts",
                     count(DiskEvent::kWrite), count(DiskEvent::kFlush), looked_at_, mounts_);
}

std::vector<std::string> MarksUpTo(const std::vector<DiskEntry>& log, std::size_t done) {
  std::vector<std::string> marks;
  for (std::size_t i = 0; i < done; ++i) {
    if (log[i].event == DiskEvent::kMark) marks.push_back(log[i].bytes);
  }
  return marks;
}

}  // namespace waypost
