// CrashStates counts the disks that simulated crashes have left, and how many of them differ.
//
//   CrashStates states("over_sharded");
//   states.AddCut();                        // the power was cut once
//   states.Add(disk);                       // and this is what may be left
//   states.Print();                         // "over_sharded: 40 cuts, 2500 disks, 1890 distinct"
//
// Two disks are the same when they have the same names, links and contents.  The ids of saves count
// for nothing: each stands for any other, so that the same crash of another save is no other state.
// (That in an index is not looked for: whoever counts gives his saves the same ids in each run.)
//
// When all tests of the program have run, the sum over all scenarios is printed, each state counted
// once.  WAYPOST_CRASH_STATES_MIN=n has the program fail when that is less than n.
//
// Threads: none.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>

#include "support/sim_disk.h"

namespace waypost {

class CrashStates {
 public:
  explicit CrashStates(std::string scenario) : scenario_(std::move(scenario)) {}

  void AddCut() { ++cuts_; }
  void Add(const SimDisk& disk);
  // Prints the line, and adds to the sum.
  void Print() const;

  std::uint64_t cuts() const noexcept { return cuts_; }
  std::uint64_t disks() const noexcept { return disks_; }
  std::size_t distinct() const noexcept { return seen_.size(); }

 private:
  std::string scenario_;
  std::uint64_t cuts_ = 0;
  std::uint64_t disks_ = 0;
  std::unordered_set<std::uint64_t> seen_;
};

// A hash of what the disk holds, the ids of saves left out.
std::uint64_t CrashStateHash(const SimDisk& disk);

}  // namespace waypost
