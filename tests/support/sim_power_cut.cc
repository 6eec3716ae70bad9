#include "support/sim_power_cut.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/units.h"
#include "io/file_system.h"

namespace waypost {
namespace {

constexpr std::uint64_t kSectorBytes = 512;
constexpr std::uint64_t kTornPieces = 64;  // that a write is lost in, at most
// Random contents of a file, besides the corners: so many, or this part of the disks asked for.
constexpr std::size_t kTornContentsMin = 3;
constexpr std::size_t kDisksPerTornContent = 16;
constexpr std::size_t kJournalExhaustive = 10;  // 2^n choices of names are looked at
constexpr std::size_t kTriesPerDisk = 4;        // before the random choice counts as used up

// A part of the write that begins or ends at a sector's border; all of it when it has none.
SimChange CutAtSector(SimChange change, std::mt19937_64& random) {
  const std::uint64_t end = change.offset + change.bytes.size();
  const std::uint64_t first = change.offset / kSectorBytes + 1;
  const std::uint64_t borders = (end - 1) / kSectorBytes + 1 - first;
  if (change.bytes.empty() || borders == 0) return change;
  const std::uint64_t border = (first + random() % borders) * kSectorBytes;
  if (random() % 2 == 0) {
    change.bytes.resize(border - change.offset);
  } else {
    change.bytes.erase(0, border - change.offset);
    change.offset = border;
  }
  return change;
}

// Any of the write's sectors; of a large one any of its runs of sectors.
void ApplyScattered(const SimChange& write, std::string& content, std::mt19937_64& random) {
  const std::uint64_t end = write.offset + write.bytes.size();
  const std::uint64_t piece_bytes =
      AlignUp(std::max<std::uint64_t>(write.bytes.size() / kTornPieces, 1), kSectorBytes);
  for (std::uint64_t begin = write.offset; begin < end;) {
    const std::uint64_t next = std::min(end, AlignDown(begin, kSectorBytes) + piece_bytes);
    if (random() % 2 == 0) {
      ApplySimChange({.is_resize = false,
                      .offset = begin,
                      .bytes = write.bytes.substr(begin - write.offset, next - begin)},
                     content);
    }
    begin = next;
  }
}

std::string Torn(const SimNode& file, std::mt19937_64& random) {
  std::string content = *file.durable;
  std::uint64_t size = content.size();
  std::vector<std::uint64_t> sizes = {size};
  for (const SimChange& change : file.unsynced) {
    size = change.is_resize ? change.offset : std::max(size, change.offset + change.bytes.size());
    sizes.push_back(size);
    const auto fate = random() % 4;
    if (fate == 0) continue;
    if (fate == 1 && !change.is_resize) {
      ApplyScattered(change, content, random);
    } else {
      ApplySimChange(fate == 2 && !change.is_resize ? CutAtSector(change, random) : change,
                     content);
    }
  }
  content.resize(sizes[random() % sizes.size()]);
  return content;
}

std::vector<SimContent> PossibleContents(const SimNode& file, std::size_t torn,
                                         std::mt19937_64& random) {
  if (file.unsynced.empty()) return {file.durable};
  std::string kept = *file.durable;
  std::string sizes_only = *file.durable;
  for (const SimChange& change : file.unsynced) {
    ApplySimChange(change, kept);
    if (change.is_resize) ApplySimChange(change, sizes_only);
  }
  sizes_only.resize(kept.size());
  std::vector<std::string> all = {kept, *file.durable, sizes_only,
                                  kept.substr(0, file.durable->size())};
  for (std::size_t i = 0; i < torn; ++i) all.push_back(Torn(file, random));

  std::vector<SimContent> contents;
  for (std::string& content : all) {
    const bool known = std::any_of(contents.begin(), contents.end(),
                                   [&](const SimContent& other) { return *other == content; });
    // The second place is "all dropped", whatever it is equal to.
    if (!known || contents.size() == 1) {
      contents.push_back(std::make_shared<const std::string>(std::move(content)));
    }
  }
  return contents;
}

}  // namespace

void ApplySimChange(const SimChange& change, std::string& content) {
  if (change.is_resize) {
    content.resize(change.offset);
    return;
  }
  content.resize(std::max(content.size(), change.offset + change.bytes.size()));
  if (!change.bytes.empty()) {
    std::memcpy(content.data() + change.offset, change.bytes.data(), change.bytes.size());
  }
}

void ApplySimNameEdit(const SimNameEdit& edit, SimNames& names) {
  if (edit.node) {
    names[edit.name] = edit.node;
  } else {
    names.erase(edit.name);
  }
}

void AddEarlierChanges(const std::vector<SimNameChange>& journal, std::vector<bool>& chosen) {
  std::set<std::pair<const SimNode*, std::string>> names;
  for (std::size_t i = journal.size(); i-- > 0;) {
    for (const SimNameEdit& edit : journal[i]) {
      if (names.contains({edit.directory.get(), edit.name})) chosen[i] = true;
    }
    if (!chosen[i]) continue;
    for (const SimNameEdit& edit : journal[i]) names.insert({edit.directory.get(), edit.name});
  }
}

std::map<const SimNode*, SimNames> ChangedSimNames(const std::vector<SimNameChange>& journal,
                                                   const std::vector<bool>& chosen) {
  std::map<const SimNode*, SimNames> changed;
  for (std::size_t i = 0; i < journal.size(); ++i) {
    if (!chosen[i]) continue;
    for (const SimNameEdit& edit : journal[i]) {
      const SimNode* const directory = edit.directory.get();
      ApplySimNameEdit(edit,
                       changed.try_emplace(directory, directory->durable_names).first->second);
    }
  }
  return changed;
}

void VisitSimNames(const SimNodePtr& root, const std::map<const SimNode*, SimNames>& changed,
                   const std::function<void(const std::string& path, const SimNode& node)>& visit) {
  std::vector<std::pair<std::string, const SimNode*>> open = {{"", root.get()}};
  while (!open.empty()) {
    const auto [path, directory] = open.back();
    open.pop_back();
    const auto found = changed.find(directory);
    const SimNames& children = found == changed.end() ? directory->durable_names : found->second;
    for (const auto& [name, node] : children) {
      const std::string child = JoinPath(path + "/", name);
      visit(child, *node);
      if (node->is_directory) open.emplace_back(child, node.get());
    }
  }
}

SimPowerCut::SimPowerCut(const SimNodePtr& root, const std::vector<SimNameChange>& journal,
                         std::size_t limit, std::mt19937_64& random)
    : root_(root), journal_(journal), limit_(limit), random_(random) {
  CollectFiles(*root_);
  for (const SimNameChange& change : journal_) {
    for (const SimNameEdit& edit : change) {
      if (edit.node) AddFile(edit.node);
    }
  }
  ChooseNames();
}

std::vector<SimDisk> SimPowerCut::Disks() {
  AddDisk(Chosen(journal_.size(), true), AllContents(true));
  AddDisk(Chosen(journal_.size(), false), AllContents(false));
  if (!AddEveryDisk()) AddRandomDisks();
  return std::move(disks_);
}

void SimPowerCut::CollectFiles(const SimNode& directory) {
  for (const SimNames* names : {&directory.durable_names, &directory.live_names}) {
    for (const auto& [name, node] : *names) AddFile(node);
  }
}

void SimPowerCut::AddFile(const SimNodePtr& node) {
  if (node->is_directory) {
    CollectFiles(*node);
    return;
  }
  const bool known = std::any_of(files_.begin(), files_.end(),
                                 [&](const File& file) { return file.node == node.get(); });
  const std::size_t torn = std::max(kTornContentsMin, limit_ / kDisksPerTornContent);
  if (!known) files_.push_back({node.get(), PossibleContents(*node, torn, random_)});
}

// Every choice that holds, with each change, the earlier changes of its names.
void SimPowerCut::ChooseNames() {
  if (journal_.size() > kJournalExhaustive) return;
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << journal_.size(); ++bits) {
    Chosen chosen(journal_.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = (bits >> i) % 2 != 0;
    Chosen closed = chosen;
    AddEarlierChanges(journal_, closed);
    if (closed == chosen) names_.push_back(std::move(chosen));
  }
}

SimPowerCut::Chosen SimPowerCut::RandomNames() {
  if (!names_.empty()) return names_[RandomIndex(names_.size())];
  Chosen chosen(journal_.size());
  if (random_() % 2 == 0) {  // The first few, as a journal replays them.
    std::fill_n(chosen.begin(), RandomIndex(chosen.size() + 1), true);
    return chosen;
  }
  for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = random_() % 2 == 0;
  AddEarlierChanges(journal_, chosen);
  return chosen;
}

std::size_t SimPowerCut::RandomIndex(std::size_t count) { return random_() % count; }

SimPowerCut::Contents SimPowerCut::ContentsNumber(std::uint64_t number) const {
  Contents contents;
  for (const File& file : files_) {
    contents.push_back(number % file.contents.size());
    number /= file.contents.size();
  }
  return contents;
}

SimPowerCut::Contents SimPowerCut::AllContents(bool kept) const {
  Contents contents;
  for (const File& file : files_) contents.push_back(kept || file.contents.size() == 1 ? 0 : 1);
  return contents;
}

SimPowerCut::Contents SimPowerCut::RandomContents() {
  const auto style = random_() % 4;
  if (style < 2) return AllContents(style == 0);
  Contents contents;
  for (const File& file : files_) contents.push_back(RandomIndex(file.contents.size()));
  return contents;
}

SimDisk SimPowerCut::MakeDisk(const Chosen& names, const Contents& contents) const {
  SimDisk disk;
  VisitSimNames(root_, ChangedSimNames(journal_, names),
                [&](const std::string& path, const SimNode& node) {
                  if (node.is_directory) {
                    disk.directories.insert(path);
                  } else if (!node.link_target.empty()) {
                    disk.links[path] = node.link_target;
                  } else {
                    disk.files[path] = ContentOf(&node, contents);
                  }
                });
  return disk;
}

SimContent SimPowerCut::ContentOf(const SimNode* node, const Contents& contents) const {
  const auto file = std::find_if(files_.begin(), files_.end(),
                                 [&](const File& other) { return other.node == node; });
  return file->contents[contents[static_cast<std::size_t>(file - files_.begin())]];
}

void SimPowerCut::AddDisk(const Chosen& names, const Contents& contents) {
  SimDisk disk = MakeDisk(names, contents);
  if (std::find(disks_.begin(), disks_.end(), disk) == disks_.end()) {
    disks_.push_back(std::move(disk));
  }
}

// False when there are more than `limit_` combinations.
bool SimPowerCut::AddEveryDisk() {
  std::uint64_t combinations = 1;
  for (const File& file : files_) {
    combinations *= file.contents.size();
    if (combinations > limit_) return false;
  }
  if (names_.empty() || combinations * names_.size() > limit_) return false;
  for (const Chosen& names : names_) {
    for (std::uint64_t number = 0; number < combinations; ++number) {
      AddDisk(names, ContentsNumber(number));
    }
  }
  return true;
}

void SimPowerCut::AddRandomDisks() {
  for (std::size_t i = 0; i < kTriesPerDisk * limit_ && disks_.size() < limit_; ++i) {
    AddDisk(RandomNames(), RandomContents());
  }
}

}  // namespace waypost
