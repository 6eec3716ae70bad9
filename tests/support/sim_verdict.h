// SimVerdict decides whether a disk is one that a power cut may leave, by the rules of sim_model.h:
// all of them, where SimPowerCut makes some.  So what a real file system has left can be held
// against the simulated one.
//
// One thing is wider here: of a torn write any of its sectors may be missing, since a real write is
// cut into pieces that go their own ways.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "support/sim_model.h"

namespace waypost {

class SimVerdict {
 public:
  SimVerdict(const SimNodePtr& root, const std::vector<SimNameChange>& journal);

  // Requires: at most 20 changes of names are unsynced, since all choices of them are tried.
  bool MayBeLeft(const SimDisk& disk) const;

 private:
  bool HasNames(const SimDisk& disk, const std::vector<bool>& chosen,
                std::map<std::string, const SimNode*>& files) const;

  SimNodePtr root_;
  const std::vector<SimNameChange>& journal_;
  std::vector<std::vector<bool>> choices_;
};

}  // namespace waypost
