// Tally: counts of damages by the kind of the file and of the damage, printed at the end of a test;
// all in one line where a test is not run in full.
#pragma once

#include <cstddef>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include "damage/damage.h"
#include "support/full_run.h"

namespace waypost {

struct Outcome {
  bool loading_told = false;
  bool verify_told = false;
  bool undetectable = false;  // of the kind that the test lists as such, and proved to be so
};

class Tally {
 public:
  explicit Tally(std::string what) : what_(std::move(what)) {}
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;
  ~Tally() {
    for (const auto& [key, counts] : counts_) {
      if (!IsFullRun()) break;
      std::printf("damage: %s, %s, %s: %s\n", what_.c_str(), key.first.c_str(), NameOf(key.second),
                  Text(counts).c_str());
    }
    std::printf("damage: %s, all: %s\n", what_.c_str(), Text(total_).c_str());
  }

  void Add(const std::string& file_kind, DamageKind kind, const Outcome& outcome) {
    for (Counts* counts : {&counts_[{file_kind, kind}], &total_}) {
      ++counts->damaged;
      counts->loading_told += outcome.loading_told ? 1 : 0;
      counts->verify_told += outcome.verify_told ? 1 : 0;
      counts->undetectable += outcome.undetectable ? 1 : 0;
      counts->bit_equal += outcome.loading_told || outcome.undetectable ? 0 : 1;
    }
  }

 private:
  struct Counts {
    std::size_t damaged = 0;
    std::size_t loading_told = 0;
    std::size_t verify_told = 0;
    std::size_t bit_equal = 0;
    std::size_t undetectable = 0;
  };

  static std::string Text(const Counts& counts) {
    return std::to_string(counts.damaged) + " damaged, " + std::to_string(counts.loading_told) +
           " told by loading, " + std::to_string(counts.verify_told) + " by verify, " +
           std::to_string(counts.bit_equal) + " loaded bit for bit, " +
           std::to_string(counts.undetectable) + " not detectable";
  }

  std::string what_;
  std::map<std::pair<std::string, DamageKind>, Counts> counts_;
  Counts total_;
};

}  // namespace waypost
