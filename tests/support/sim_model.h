// SimModel: names and bytes of the simulated disk, and what a power cut may do to them.
//
// A file is durable content and the unsynced changes since.  A directory is durable names; all
// unsynced changes of names stand in one journal.  After a power cut, each file's bytes, each
// file's size and the names are independent of each other:
//
//   bytes     each unsynced write is kept, dropped or torn: cut at a 512-byte sector, or any of its
//             sectors.  Where the bytes of an extension are missing it reads as zeros; so does what
//             was preallocated and not written.
//   size      that of any moment since the last sync.  So bytes may be kept without the size (what
//             is beyond it is gone) and the size without the bytes (zeros), and a preallocation
//             survives or does not.
//   names     any of the journal's changes, but a change only together with the earlier changes of
//             the same names.  A rename is one change: its two names change together or not at all.
//
// The sync of a file settles its bytes and size, not its name; the sync of a directory settles
// the names in it (and what they depend on), not the content of its files.
//
// A failed sync of a file loses some of the unsynced writes, or all of them, for ever: the kernel
// counts their pages as clean, and the next sync succeeds without them.  The others, and the size,
// stay unsynced.  Readers go on seeing what was lost, as long as its pages are cached, or see the
// old bytes, once they are evicted; the seed chooses.  A failed sync of a directory settles
// nothing; a later one may (or all later changes fail: SimFileSystem::FailSync).
//
// What ext4 (data=ordered) and xfs do is among that, with much that they do not do: they keep the
// order of names by their journals, a file's size behind its bytes (xfs), and a new file's name
// with its sync.  Not modelled, and not promised against (docs/durability.md): a drive that forgets
// what it was told to flush, or tears a sector; the bytes of removed files in an extension
// (data=writeback); a directory's sync that succeeds after a failed one without settling the names
// (no journal: ext2); the time stamps, which a disk does not keep.
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
  std::uint64_t device = 0;  // its directory's, from when it has a name
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
  // Its inode number is told by the path it is made under, so that it is the same on the disk that
  // a power cut leaves.
  SimNodePtr MakeDirectory(const std::string& path);

  void Write(SimNode& file, std::uint64_t offset, std::span<const std::byte> bytes);
  void Resize(SimNode& file, std::uint64_t size);
  void Sync(SimNode& file);
  // A failed fsync, as above.
  void FailSync(SimNode& file, std::mt19937_64& random);

  void ChangeNames(SimNameChange change);
  void SyncNames(const SimNodePtr& directory);

  // Another device from now on, with all that is below it.
  void MakeDrive(SimNode& directory);

  // Disks that a power cut may leave now, no two equal.  Every one when there are at most `limit`,
  // else a random choice of `limit`; those with everything kept and with everything dropped come
  // first.
  std::vector<SimDisk> PossibleDisks(std::size_t limit, std::mt19937_64& random) const;
  // Whether a power cut may leave this disk now (sim_verdict.h).
  bool MayBeLeft(const SimDisk& disk) const;

 private:
  double Tick() noexcept;

  SimNodePtr root_;
  std::vector<SimNameChange> journal_;
  std::uint64_t next_inode_ = 2;
  std::uint64_t next_device_ = 2;
  double now_seconds_ = 1.7e9;  // Moves with each change, so that times tell what came first.
};

}  // namespace waypost
