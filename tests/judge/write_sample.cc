// judge_write_sample DESCRIPTION: writes a checkpoint whose content another program has chosen.
//
// DESCRIPTION is a JSON file made by tests/python/judge_common.py:
//   {"prefix": "dir/name", "sharded": false,
//    "tensors": [{"name_hex": "61", "dtype": "float32", "shape": [2, 3], "device": "",
//                 "parts": [{"start": [0, 0], "length": [2, 3], "file": "0.bin"}]}]}
// A part without "start" is the whole tensor.  A file holds the row-major little-endian bytes; of a
// string tensor, for each element a length of 8 bytes and the bytes.
#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "waypost/engine.h"
#include "waypost/tensor.h"

namespace waypost {
namespace {

using nlohmann::json;

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::vector<std::string> SplitStrings(std::string_view bytes) {
  std::vector<std::string> strings;
  while (!bytes.empty()) {
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof(size));
    strings.emplace_back(bytes.substr(sizeof(size), size));
    bytes.remove_prefix(sizeof(size) + size);
  }
  return strings;
}

// The tensors and the memory that they are views of.
class Sample {
 public:
  Sample(const json& description, const std::filesystem::path& directory) {
    for (const json& tensor : description.at("tensors")) {
      for (const json& part : tensor.at("parts")) AddPart(tensor, part, directory);
    }
  }
  const std::vector<NamedTensor>& tensors() const { return tensors_; }

 private:
  void AddPart(const json& tensor, const json& part, const std::filesystem::path& directory) {
    NamedTensor named = {
        .name = FromHex(tensor.at("name_hex")), .tensor = {}, .device = tensor.at("device")};
    const DType dtype = DTypeFromName(tensor.at("dtype").get<std::string>()).value();
    Shape shape = tensor.at("shape");
    if (part.contains("start")) {
      named.full_shape = shape;
      for (std::size_t i = 0; i < shape.size(); ++i) {
        named.slice.extents.push_back({part.at("start").at(i), part.at("length").at(i)});
      }
      shape = SliceShape(named.full_shape, named.slice);
    }
    bytes_.push_back(ReadFile(directory / part.at("file").get<std::string>()));
    void* data = bytes_.back().data();
    std::size_t size = bytes_.back().size();
    if (dtype == DType::kString) {
      strings_.push_back(SplitStrings(bytes_.back()));
      data = strings_.back().data();
      size = strings_.back().size();
    }
    named.tensor = TensorView(data, dtype, shape);
    const auto expected = dtype == DType::kString
                              ? static_cast<std::size_t>(named.tensor.element_count())
                              : named.tensor.size_bytes();
    if (size != expected)
      throw std::runtime_error("a file does not fit its tensor: " + part.dump());
    tensors_.push_back(std::move(named));
  }

  std::deque<std::string> bytes_;
  std::deque<std::vector<std::string>> strings_;
  std::vector<NamedTensor> tensors_;
};

void Write(const std::filesystem::path& description_path) {
  const json description = json::parse(ReadFile(description_path));
  const Sample sample(description, description_path.parent_path());
  Engine engine;
  SaveAsync(engine, description.at("prefix"), sample.tensors(),
            {.sharded = description.at("sharded")})
      .WaitFinished();
}

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("usage: judge_write_sample DESCRIPTION");
    waypost::Write(argv[1]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "judge_write_sample: {}\n", error.what());
    return 1;
  }
}
