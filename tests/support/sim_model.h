// SimModel: names and bytes of the simulated disk, and what a power cut may do to them.
//
// A file is durable content and the unsynced changes since.  A directory is durable names; all
// unsynced changes of names stand in one journal.  After a power cut, each file's content and the
// names are independent of each other:
//
//   content   all unsynced changes kept, all dropped, or torn: any of the writes, a write cut at a
//             512-byte sector, the size of any moment, zeros where an extension's bytes are
//             missing;
//   names     any of the journal's changes, but a change only together with the earlier changes of
//   the
//             same names.  A rename is one change: its two names change together or not at all.
//
// The sync of a file settles its content and size, not its name; the sync of a directory settles
// the names in it (and what they depend on), not the content of its files.
//
// Threads: none; SimState's mutex guards it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "support/sim_disk.h"

namespace waypost {

struct SimNode;
// Shared: a removed file lives on while it is open or while its removal may be undone.
using SimNodePtr = std::shared_ptr<SimNode>;
using SimNames = std::map<std::string, SimNodePtr>;

// A write of `bytes` at `offset`, or a change of the size to `offset`.
struct SimChange {
  bool is_resize = false;
  std::uint64_t offset = 0;
  std::string bytes;
};

struct SimNode {
  bool is_directory = false;
  std::uint64_t inode = 0;
  double mtime_seconds = 0;
  bool is_locked = false;
  // Of a file.
  std::string live;  // what readers see now
  SimContent durable = std::make_shared<const std::string>();
  std::vector<SimChange> unsynced;
  // Of a link; it never changes.
  std::string link_target;
  // Of a directory.
  SimNames live_names;
  SimNames durable_names;
};

// `name` in `directory` is `node` from now on; nothing when it is null.
struct SimNameEdit {
  SimNodePtr directory;
  std::string name;
  SimNodePtr node;
};
// The edits of one call; a power cut keeps them together.
using SimNameChange = std::vector<SimNameEdit>;

// Where a path leads.  `node` is null when nothing has the name; `directory` is null for "/".
struct SimPlace {
  SimNodePtr directory;
  std::string name;
  SimNodePtr node;
};

class SimModel {
 public:
  SimModel();
  explicit SimModel(const SimDisk& disk);

  // 0, ENOENT when a directory on the way is missing, or ENOTDIR.  Knows "a//b", "./a" and ".."; a
  // relative path starts at "/".  Links on the way are not followed, the last one only when asked
  // to.
  int Find(const std::string& path, SimPlace& place, bool follow = false) const;
  SimNodePtr MakeNode(bool is_directory);

  void Write(SimNode& file, std::uint64_t offset, std::span<const std::byte> bytes);
  void Resize(SimNode& file, std::uint64_t size);
  void Sync(SimNode& file);
  // A failed fsync: readers still see the bytes, but nothing will ever write them.
  void ForgetUnsynced(SimNode& file);

  void ChangeNames(SimNameChange change);
  void SyncNames(const SimNodePtr& directory);

  // Disks that a power cut may leave now, no two equal.  Every one when there are at most `limit`,
  // else a random choice of `limit`; those with everything kept and with everything dropped come
  // first.
  std::vector<SimDisk> PossibleDisks(std::size_t limit, std::mt19937_64& random) const;

 private:
  double Tick() noexcept;

  SimNodePtr root_;
  std::vector<SimNameChange> journal_;
  std::uint64_t next_inode_ = 2;
  double now_seconds_ = 1.7e9;  // Moves with each change, so that times tell what came first.
};

}  // namespace waypost
