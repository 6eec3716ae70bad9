#include "support/sim_model.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>

#include "base/bytes.h"
#include "base/check.h"
#include "support/sim_power_cut.h"
#include "support/sim_verdict.h"

namespace waypost {
namespace {

std::vector<std::string> Components(const std::string& path) {
  std::vector<std::string> components;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string component = path.substr(begin, end - begin);
    begin = end + 1;
    if (component.empty() || component == ".") continue;
    if (component != "..") {
      components.push_back(component);
    } else if (!components.empty()) {
      components.pop_back();
    }
  }
  return components;
}

void SettleNames(SimNode& directory) {
  directory.durable_names = directory.live_names;
  for (const auto& [name, child] : directory.live_names) {
    if (child->is_directory) SettleNames(*child);
  }
}

void SetDevice(SimNode& node, std::uint64_t device) {
  node.device = device;
  for (const auto& [name, child] : node.live_names) SetDevice(*child, device);
}

// What a write that never reaches the disk leaves of itself: the size, if it made the file longer.
std::optional<SimChange> SizeOf(const SimChange& write, std::uint64_t size_before) {
  const std::uint64_t end = write.offset + write.bytes.size();
  if (end <= size_before) return std::nullopt;
  return SimChange{.is_resize = true, .offset = end, .bytes = ""};
}

}  // namespace

SimModel::SimModel() : root_(std::make_shared<SimNode>()) {
  root_->is_directory = true;
  root_->inode = 1;
  root_->device = 1;
}

SimModel::SimModel(const SimDisk& disk) : SimModel() {
  const auto add = [this](const std::string& path, const SimNodePtr& node) {
    SimPlace place;
    WAYPOST_CHECK(Find(path, place) == 0 && place.directory && !place.node);
    place.directory->live_names[place.name] = node;
    node->device = place.directory->device;
  };
  for (const std::string& path : disk.directories) add(path, MakeDirectory(path));
  for (const auto& [path, content] : disk.files) {
    const SimNodePtr node = MakeNode(false);
    node->durable = content;
    node->live = *content;
    add(path, node);
  }
  for (const auto& [path, target] : disk.links) {
    const SimNodePtr node = MakeNode(false);
    node->link_target = target;
    add(path, node);
  }
  SettleNames(*root_);
}

int SimModel::Find(const std::string& path, SimPlace& place, bool follow) const {
  if (path.empty()) return ENOENT;
  place = {.directory = nullptr, .name = "", .node = root_};
  for (const std::string& component : Components(path)) {
    if (!place.node) return ENOENT;
    if (!place.node->is_directory) return ENOTDIR;
    const SimNodePtr directory = place.node;
    const auto found = directory->live_names.find(component);
    place = {directory, component, found == directory->live_names.end() ? nullptr : found->second};
  }
  if (follow && place.node && !place.node->link_target.empty()) {
    return Find(place.node->link_target, place, true);
  }
  return 0;
}

SimNodePtr SimModel::MakeNode(bool is_directory) {
  auto node = std::make_shared<SimNode>();
  node->is_directory = is_directory;
  node->inode = next_inode_++;
  node->mtime_seconds = Tick();
  return node;
}

SimNodePtr SimModel::MakeDirectory(const std::string& path) {
  SimNodePtr node = MakeNode(true);
  std::string name;
  for (const std::string& component : Components(path)) name += "/" + component;
  // Away from the numbers of files, which count from 2.
  node->inode = std::hash<std::string>()(name) | std::uint64_t{1} << 63;
  return node;
}

void SimModel::Write(SimNode& file, std::uint64_t offset, std::span<const std::byte> bytes) {
  file.unsynced.push_back(
      {.is_resize = false, .offset = offset, .bytes = std::string(AsText(bytes))});
  ApplySimChange(file.unsynced.back(), file.live);
  file.mtime_seconds = Tick();
}

void SimModel::Resize(SimNode& file, std::uint64_t size) {
  file.unsynced.push_back({.is_resize = true, .offset = size, .bytes = ""});
  ApplySimChange(file.unsynced.back(), file.live);
  file.mtime_seconds = Tick();
}

void SimModel::Sync(SimNode& file) {
  if (file.unsynced.empty()) return;
  // Not `live`: what a failed sync forgot is in there, and never reaches the disk.
  std::string content = *file.durable;
  for (const SimChange& change : file.unsynced) ApplySimChange(change, content);
  file.durable = std::make_shared<const std::string>(std::move(content));
  file.unsynced.clear();
}

void SimModel::FailSync(SimNode& file, std::mt19937_64& random) {
  const bool loses_all = random() % 2 == 0;
  std::vector<SimChange> kept;
  std::string content = *file.durable;  // with what may still be written
  for (SimChange& change : file.unsynced) {
    const bool is_lost = !change.is_resize && (loses_all || random() % 2 == 0);
    std::optional<SimChange> left = is_lost ? SizeOf(change, content.size()) : std::move(change);
    if (!left) continue;
    ApplySimChange(*left, content);
    kept.push_back(*std::move(left));
  }
  file.unsynced = std::move(kept);
  if (random() % 2 == 0) file.live = std::move(content);  // its pages were evicted
}

void SimModel::ChangeNames(SimNameChange change) {
  for (const SimNameEdit& edit : change) {
    if (edit.node && edit.node->device == 0) edit.node->device = edit.directory->device;
    ApplySimNameEdit(edit, edit.directory->live_names);
    edit.directory->mtime_seconds = Tick();
  }
  journal_.push_back(std::move(change));
}

void SimModel::SyncNames(const SimNodePtr& directory) {
  std::vector<bool> settled(journal_.size());
  for (std::size_t i = 0; i < journal_.size(); ++i) {
    for (const SimNameEdit& edit : journal_[i]) {
      if (edit.directory == directory) settled[i] = true;
    }
  }
  AddEarlierChanges(journal_, settled);
  std::vector<SimNameChange> rest;
  for (std::size_t i = 0; i < journal_.size(); ++i) {
    if (!settled[i]) {
      rest.push_back(std::move(journal_[i]));
      continue;
    }
    for (const SimNameEdit& edit : journal_[i])
      ApplySimNameEdit(edit, edit.directory->durable_names);
  }
  journal_ = std::move(rest);
}

void SimModel::MakeDrive(SimNode& directory) { SetDevice(directory, next_device_++); }

std::vector<SimDisk> SimModel::PossibleDisks(std::size_t limit, std::mt19937_64& random) const {
  return SimPowerCut(root_, journal_, limit, random).Disks();
}

bool SimModel::MayBeLeft(const SimDisk& disk) const {
  return SimVerdict(root_, journal_).MayBeLeft(disk);
}

double SimModel::Tick() noexcept { return now_seconds_ += 0.001; }

}  // namespace waypost
