// Tensors that a program of tests/python has described, in memory of their own.
//
// A description is a JSON file made by tests/python/judge_common.py:
//   {"prefix": "dir/name", "sharded": false, "shard_bytes": 0, "v1": false, "parts": 1,
//    "tensors": [{"name_hex": "61", "dtype": "float32", "shape": [2, 3],
//                 "parts": [{"start": [0, 0], "length": [2, -1], "file": "0.bin", "device": ""}]}]}
// With "parts" n > 1 each nth of all parts of tensors is saved as a checkpoint of its own, and
// these are merged.  A part without "start" is the whole tensor.  A file (beside the description)
// holds the row-major little-endian bytes; of a string tensor, for each element a length of 8 bytes
// and the bytes.
#pragma once

#include <cstddef>
#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "waypost/engine.h"
#include "waypost/tensor.h"

namespace waypost {

class Sample {
 public:
  // The tensors are zero or empty.  Throws std::exception for whatever is wrong with the
  // description.
  explicit Sample(const std::string& description_path);

  // Reads the tensors from their files.
  void LoadFiles();
  // Writes them into their files.
  void StoreFiles() const;

  std::string prefix() const { return description_.at("prefix"); }
  const nlohmann::json& description() const { return description_; }
  std::span<const NamedTensor> tensors() const { return tensors_; }

 private:
  void AddPart(const nlohmann::json& tensor, const nlohmann::json& part);

  std::filesystem::path directory_;
  nlohmann::json description_;
  std::deque<std::vector<std::byte>> bytes_;
  std::deque<std::vector<std::string>> strings_;
  std::vector<NamedTensor> tensors_;
  std::vector<std::filesystem::path> files_;  // of each of tensors_
};

}  // namespace waypost
