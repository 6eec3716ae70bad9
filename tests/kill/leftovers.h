// What stands in a directory of checkpoints that no checkpoint of its state file needs.
#pragma once

#include <set>
#include <string>

namespace waypost {

// The names of the files that a directory must have: the state file, and those of the checkpoints
// that it lists.
std::set<std::string> WantedFiles(const std::string& directory, bool with_meta_graphs);
std::set<std::string> FilesIn(const std::string& directory);

// The kinds of leftovers, in words: which moment of a save it was that a crash came at. {"nothing"}
// when there are none.
std::set<std::string> LeftoverKinds(const std::string& directory);

}  // namespace waypost
