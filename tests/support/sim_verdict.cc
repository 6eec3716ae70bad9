#include "support/sim_verdict.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "io/file_system.h"
#include "support/sim_power_cut.h"

namespace waypost {
namespace {

constexpr std::uint64_t kSectorBytes = 512;
constexpr std::size_t kUnsyncedNamesMax = 20;

std::string SectorOf(const std::string& content, std::uint64_t begin) {
  std::string sector = begin < content.size() ? content.substr(begin, kSectorBytes) : "";
  sector.resize(kSectorBytes);
  return sector;
}

// What the sector at `begin` holds after `change`, when it held `sector` before.
std::string Changed(const std::string& sector, std::uint64_t begin, const SimChange& change) {
  std::string after = sector;
  if (change.is_resize) {
    const std::uint64_t kept = std::clamp(change.offset, begin, begin + kSectorBytes) - begin;
    after.resize(kept);
    after.resize(kSectorBytes);
    return after;
  }
  const std::uint64_t first = std::max(begin, change.offset);
  const std::uint64_t last = std::min(begin + kSectorBytes, change.offset + change.bytes.size());
  if (first < last) {
    after.replace(first - begin, last - first, change.bytes, first - change.offset, last - first);
  }
  return after;
}

// Each sector by itself may have any of the changes that touch it.
bool SectorMayBe(const SimNode& file, const std::string& content, std::uint64_t begin) {
  std::set<std::string> possible = {SectorOf(*file.durable, begin)};
  for (const SimChange& change : file.unsynced) {
    std::set<std::string> more;
    for (const std::string& sector : possible) more.insert(Changed(sector, begin, change));
    possible.merge(more);
  }
  const std::string found = SectorOf(content, begin);
  const std::uint64_t size = std::min(kSectorBytes, content.size() - begin);
  return std::any_of(possible.begin(), possible.end(), [&](const std::string& sector) {
    return sector.compare(0, size, found, 0, size) == 0;
  });
}

bool ContentMayBe(const SimNode& file, const std::string& content) {
  if (file.unsynced.empty()) return content == *file.durable;
  std::uint64_t size = file.durable->size();
  bool size_is_known = size == content.size();
  for (const SimChange& change : file.unsynced) {
    size = change.is_resize ? change.offset : std::max(size, change.offset + change.bytes.size());
    size_is_known = size_is_known || size == content.size();
  }
  if (!size_is_known) return false;
  for (std::uint64_t begin = 0; begin < content.size(); begin += kSectorBytes) {
    if (!SectorMayBe(file, content, begin)) return false;
  }
  return true;
}

}  // namespace

SimVerdict::SimVerdict(const SimNodePtr& root, const std::vector<SimNameChange>& journal)
    : root_(root), journal_(journal) {
  WAYPOST_CHECK(journal_.size() <= kUnsyncedNamesMax);
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << journal_.size(); ++bits) {
    std::vector<bool> chosen(journal_.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = (bits >> i) % 2 != 0;
    std::vector<bool> closed = chosen;
    AddEarlierChanges(journal_, closed);
    if (closed == chosen) choices_.push_back(std::move(chosen));
  }
}

bool SimVerdict::MayBeLeft(const SimDisk& disk) const {
  return std::any_of(choices_.begin(), choices_.end(), [&](const std::vector<bool>& chosen) {
    std::map<std::string, const SimNode*> files;
    if (!HasNames(disk, chosen, files)) return false;
    return std::all_of(files.begin(), files.end(), [&](const auto& file) {
      return ContentMayBe(*file.second, *disk.files.at(file.first));
    });
  });
}

// Whether the chosen changes give the disk's names; `files` is what they lead to.
bool SimVerdict::HasNames(const SimDisk& disk, const std::vector<bool>& chosen,
                          std::map<std::string, const SimNode*>& files) const {
  std::size_t directories = 0;
  std::size_t links = 0;
  bool all_known = true;
  VisitSimNames(
      root_, ChangedSimNames(journal_, chosen), [&](const std::string& path, const SimNode& node) {
        if (node.is_directory) {
          ++directories;
          all_known = all_known && disk.directories.contains(path);
        } else if (!node.link_target.empty()) {
          ++links;
          const auto found = disk.links.find(path);
          all_known = all_known && found != disk.links.end() && found->second == node.link_target;
        } else {
          files[path] = &node;
          all_known = all_known && disk.files.contains(path);
        }
      });
  return all_known && directories == disk.directories.size() && links == disk.links.size() &&
         files.size() == disk.files.size();
}

}  // namespace waypost
