// SimPowerCut works out the disks that a power cut may leave, by the rules of sim_model.h.
#pragma once

#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "support/sim_model.h"

namespace waypost {

void ApplySimChange(const SimChange& change, std::string& content);
void ApplySimNameEdit(const SimNameEdit& edit, SimNames& names);

// Adds to the chosen changes of the journal all earlier ones that touch the same names.
void AddEarlierChanges(const std::vector<SimNameChange>& journal, std::vector<bool>& chosen);

// The names of the directories that the chosen changes of the journal touch, with these.
std::map<const SimNode*, SimNames> ChangedSimNames(const std::vector<SimNameChange>& journal,
                                                   const std::vector<bool>& chosen);
// Calls `visit` with the path and the node of everything below `root`, where directories have their
// changed names or else the durable ones.
void VisitSimNames(const SimNodePtr& root, const std::map<const SimNode*, SimNames>& changed,
                   const std::function<void(const std::string& path, const SimNode& node)>& visit);

class SimPowerCut {
 public:
  // At most `limit` disks are asked for; the more, the more ways are tried to tear a file.
  SimPowerCut(const SimNodePtr& root, const std::vector<SimNameChange>& journal, std::size_t limit,
              std::mt19937_64& random);

  std::vector<SimDisk> Disks();

 private:
  using Chosen = std::vector<bool>;  // a place for each change of the journal

  // The contents that one file may have.
  struct File {
    const SimNode* node = nullptr;
    std::vector<SimContent> contents;  // [0] all kept, [1] all dropped, when there is more than one
  };
  // The contents chosen for all files: an index into each file's contents.
  using Contents = std::vector<std::size_t>;

  void CollectFiles(const SimNode& directory);
  void AddFile(const SimNodePtr& node);
  void ChooseNames();
  Chosen RandomNames();
  std::size_t RandomIndex(std::size_t count);
  Contents ContentsNumber(std::uint64_t number) const;
  Contents AllContents(bool kept) const;
  Contents RandomContents();
  SimDisk MakeDisk(const Chosen& names, const Contents& contents) const;
  SimContent ContentOf(const SimNode* node, const Contents& contents) const;
  void AddDisk(const Chosen& names, const Contents& contents);
  bool AddEveryDisk();
  void AddRandomDisks();

  SimNodePtr root_;
  const std::vector<SimNameChange>& journal_;
  const std::size_t limit_;
  std::mt19937_64& random_;
  std::vector<File> files_;
  std::vector<Chosen> names_;  // every possible choice, when the journal is short enough
  std::vector<SimDisk> disks_;
};

}  // namespace waypost
