// What the fuzzers begin with: good files, some written by TensorFlow (tests/golden) and some by
// Waypost, in the form that each decoder of decoders.h takes.
#pragma once

#include <string>
#include <vector>

namespace waypost {

std::vector<std::string> IndexFiles();
std::vector<std::string> TableBlocks();
std::vector<std::string> EntryLists();
std::vector<std::string> SliceKeys();
std::vector<std::string> StringTensors();
std::vector<std::string> Checkpoints();
std::vector<std::string> RecordFiles();
std::vector<std::string> EventFiles();
std::vector<std::string> Events();
std::vector<std::string> ObjectGraphs();
std::vector<std::string> V1Files();
std::vector<std::string> V1EntryLists();
std::vector<std::string> V1ShardPairs();
std::vector<std::string> StateFiles();
std::vector<std::string> SaverDefs();
std::vector<std::string> MetaGraphFiles();
std::vector<std::string> SaveLocks();
std::vector<std::string> Directories();
std::vector<std::string> SafetensorsHeaders();
std::vector<std::string> SafetensorsIndices();

}  // namespace waypost
