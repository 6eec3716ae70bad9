#include "support/sim_file_system.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/errno_error.h"
#include "support/sim_handles.h"

namespace waypost {
namespace {

// Throws unless something has the name.
SimPlace FindExisting(const SimModel& model, const std::string& path, const char* operation,
                      IoDirection direction, bool follow = true) {
  SimPlace place;
  int errno_value = model.Find(path, place, follow);
  if (errno_value == 0 && !place.node) errno_value = ENOENT;
  if (errno_value != 0) throw ErrnoError(operation, path, errno_value, direction);
  return place;
}

bool Contains(const SimNode& directory, const SimNode* node) {
  return &directory == node ||
         std::any_of(directory.live_names.begin(), directory.live_names.end(),
                     [&](const auto& child) { return Contains(*child.second, node); });
}

// rename(2)'s rules; 0 or errno.
int CheckRename(const SimPlace& from, const SimPlace& to) {
  if (!from.directory || !to.directory) return EBUSY;
  if (from.node->device != to.directory->device) return EXDEV;
  if (Contains(*from.node, to.directory.get())) return EINVAL;
  if (!to.node) return 0;
  if (from.node->is_directory && !to.node->is_directory) return ENOTDIR;
  if (!from.node->is_directory && to.node->is_directory) return EISDIR;
  return to.node->live_names.empty() ? 0 : ENOTEMPTY;
}

LockResult TryLockNode(SimState& state, const SimNodePtr& node) {
  if (!state.has_locks) return {LockOutcome::kUnsupported, nullptr};
  if (node->is_locked) return {LockOutcome::kHeld, nullptr};
  return {LockOutcome::kTaken, std::make_unique<SimLock>(state, node)};
}

}  // namespace

SimFileSystem::SimFileSystem(std::uint64_t seed)
    : state_(std::make_unique<SimState>(SimModel(), seed)) {}

SimFileSystem::SimFileSystem(const SimDisk& disk, std::uint64_t seed)
    : state_(std::make_unique<SimState>(SimModel(disk), seed)) {}

void SimFileSystem::CutPowerAt(std::uint64_t operation) {
  const std::lock_guard lock(state_->mutex);
  state_->operations = 0;
  state_->cut_at = operation;
}

std::uint64_t SimFileSystem::operations() const {
  const std::lock_guard lock(state_->mutex);
  return state_->operations;
}

bool SimFileSystem::power_is_off() const {
  const std::lock_guard lock(state_->mutex);
  return state_->power_is_off;
}

std::vector<SimDisk> SimFileSystem::DisksAfterPowerCut(std::size_t limit) const {
  const std::lock_guard lock(state_->mutex);
  return state_->model.PossibleDisks(limit, state_->random);
}

bool SimFileSystem::MayBeLeft(const SimDisk& disk) const {
  const std::lock_guard lock(state_->mutex);
  return state_->model.MayBeLeft(disk);
}

void SimFileSystem::FailSync(std::uint64_t number, AfterFailedSync after) {
  const std::lock_guard lock(state_->mutex);
  state_->syncs_before_failure = number;
  state_->read_only_after_failure = after == AfterFailedSync::kReadOnly;
}

void SimFileSystem::MakeDrive(const std::string& directory) {
  const std::lock_guard lock(state_->mutex);
  const SimNodePtr node = FindExisting(state_->model, directory, "mount", IoDirection::kWrite).node;
  WAYPOST_CHECK(node->is_directory);
  state_->model.MakeDrive(*node);
}

SimTransferCounts SimFileSystem::transfers() const {
  const std::lock_guard lock(state_->mutex);
  return state_->transfers;
}

void SimFileSystem::TransferAtOnce() {
  const std::lock_guard lock(state_->mutex);
  state_->transfers_at_once = true;
}

void SimFileSystem::RemoveLocks() {
  const std::lock_guard lock(state_->mutex);
  state_->has_locks = false;
}

std::unique_ptr<WritableFile> SimFileSystem::Create(const std::string& path, CreateMode mode) {
  const std::lock_guard lock(state_->mutex);
  return std::make_unique<SimWritableFile>(*state_, CreateNode(path, mode), path);
}

std::unique_ptr<DataFile> SimFileSystem::CreateData(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  return std::make_unique<SimDataFile>(*state_, CreateNode(path, CreateMode::kExclusive), path,
                                       true);
}

std::unique_ptr<DataFile> SimFileSystem::OpenData(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  return std::make_unique<SimDataFile>(*state_, FindFile(path), path, false);
}

std::unique_ptr<DataFile> SimFileSystem::OpenDataToWrite(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  return std::make_unique<SimDataFile>(*state_, FindFile(path), path, true);
}

std::unique_ptr<MappedFile> SimFileSystem::Map(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  return std::make_unique<SimMappedFile>(FindFile(path)->live);
}

std::unique_ptr<IoBackend> SimFileSystem::MakeIoBackend(const IoBackendOptions& options) {
  return MakeSimBackend(*state_, options.depth);
}

std::optional<FileStat> SimFileSystem::Stat(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  state_->CheckPower();
  SimPlace place;
  if (state_->model.Find(path, place, true) != 0 || !place.node) return std::nullopt;
  return FileStat{.size = place.node->live.size(),
                  .is_directory = place.node->is_directory,
                  .mtime_seconds = place.node->mtime_seconds,
                  .device = place.node->device,
                  .inode = place.node->inode};
}

std::vector<std::string> SimFileSystem::List(const std::string& directory) {
  const std::lock_guard lock(state_->mutex);
  state_->CheckPower();
  const SimNodePtr node = FindExisting(state_->model, directory, "list", IoDirection::kRead).node;
  if (!node->is_directory) throw ErrnoError("list", directory, ENOTDIR, IoDirection::kRead);
  std::vector<std::string> names;
  for (const auto& [name, child] : node->live_names) names.push_back(name);
  return names;
}

void SimFileSystem::CreateDirectory(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  state_->CountOperation();
  SimPlace place;
  int errno_value = state_->model.Find(path, place);
  if (errno_value == 0 && place.node) errno_value = EEXIST;
  if (errno_value != 0) throw ErrnoError("mkdir", path, errno_value, IoDirection::kWrite);
  state_->model.ChangeNames({{place.directory, place.name, state_->model.MakeDirectory(path)}});
}

void SimFileSystem::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(state_->mutex);
  state_->CountOperation();
  const std::string both = fmt::format("{} to {}", from, to);
  SimPlace source;
  SimPlace target;
  int errno_value = state_->model.Find(from, source);
  if (errno_value == 0 && !source.node) errno_value = ENOENT;
  if (errno_value == 0) errno_value = state_->model.Find(to, target);
  if (errno_value == 0 && source.node == target.node) return;
  if (errno_value == 0) errno_value = CheckRename(source, target);
  if (errno_value != 0) throw ErrnoError("rename", both, errno_value, IoDirection::kWrite);
  state_->model.ChangeNames(
      {{source.directory, source.name, nullptr}, {target.directory, target.name, source.node}});
}

void SimFileSystem::Remove(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  state_->CountOperation();
  const SimPlace place = FindExisting(state_->model, path, "remove", IoDirection::kWrite, false);
  if (place.node->is_directory) throw ErrnoError("remove", path, EISDIR, IoDirection::kWrite);
  state_->model.ChangeNames({{place.directory, place.name, nullptr}});
}

void SimFileSystem::CreateLink(const std::string& target, const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  state_->CountOperation();
  SimPlace place;
  int errno_value = state_->model.Find(path, place);
  if (errno_value == 0 && place.node) errno_value = EEXIST;
  if (errno_value != 0) throw ErrnoError("link", path, errno_value, IoDirection::kWrite);
  const SimNodePtr node = state_->model.MakeNode(false);
  node->link_target = target;
  state_->model.ChangeNames({{place.directory, place.name, node}});
}

void SimFileSystem::CreateHardLink(const std::string& existing, const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  state_->CountOperation();
  SimPlace from;
  SimPlace to;
  int errno_value = state_->model.Find(existing, from);
  if (errno_value == 0 && !from.node) errno_value = ENOENT;
  if (errno_value == 0 && from.node->is_directory) errno_value = EPERM;
  if (errno_value == 0) errno_value = state_->model.Find(path, to);
  if (errno_value == 0 && to.node) errno_value = EEXIST;
  if (errno_value == 0 && from.node->device != to.directory->device) errno_value = EXDEV;
  if (errno_value != 0) {
    throw ErrnoError("link", fmt::format("{} to {}", path, existing), errno_value,
                     IoDirection::kWrite);
  }
  state_->model.ChangeNames({{to.directory, to.name, from.node}});
}

std::optional<std::string> SimFileSystem::ReadLink(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  state_->CheckPower();
  SimPlace place;
  if (state_->model.Find(path, place) != 0 || !place.node) return std::nullopt;
  if (place.node->link_target.empty()) return std::nullopt;
  return place.node->link_target;
}

void SimFileSystem::SyncDirectory(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  state_->CountOperation();
  const SimNodePtr node =
      FindExisting(state_->model, path, "sync directory", IoDirection::kWrite).node;
  if (!node->is_directory) throw ErrnoError("sync directory", path, ENOTDIR, IoDirection::kWrite);
  if (state_->NextSyncFails()) throw ErrnoError("sync directory", path, EIO, IoDirection::kWrite);
  state_->model.SyncNames(node);
}

LockResult SimFileSystem::Lock(const std::string& path) {
  std::unique_lock lock(state_->mutex);
  state_->CheckPower();
  const SimNodePtr node = FindExisting(state_->model, path, "lock", IoDirection::kRead).node;
  state_->lock_released.wait(
      lock, [&] { return !node->is_locked || !state_->has_locks || state_->power_is_off; });
  state_->CheckPower();
  return TryLockNode(*state_, node);
}

LockResult SimFileSystem::TryLock(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  state_->CheckPower();
  return TryLockNode(*state_, FindExisting(state_->model, path, "lock", IoDirection::kRead).node);
}

SimNodePtr SimFileSystem::CreateNode(const std::string& path, CreateMode mode) {
  state_->CountOperation();
  SimPlace place;
  int errno_value = state_->model.Find(path, place);
  if (errno_value == 0 && place.node) {
    if (mode == CreateMode::kExclusive) errno_value = EEXIST;
    if (mode == CreateMode::kTruncate && place.node->is_directory) errno_value = EISDIR;
  }
  if (errno_value != 0) throw ErrnoError("create", path, errno_value, IoDirection::kWrite);
  if (place.node) {
    if (!place.node->live.empty()) state_->model.Resize(*place.node, 0);
    return place.node;
  }
  SimNodePtr node = state_->model.MakeNode(false);
  state_->model.ChangeNames({{place.directory, place.name, node}});
  return node;
}

SimNodePtr SimFileSystem::FindFile(const std::string& path) {
  state_->CheckPower();
  SimNodePtr node = FindExisting(state_->model, path, "open", IoDirection::kRead).node;
  if (node->is_directory) throw ErrnoError("open", path, EISDIR, IoDirection::kRead);
  return node;
}

}  // namespace waypost
