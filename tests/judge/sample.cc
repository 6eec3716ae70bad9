#include "judge/sample.h"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <utility>

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

std::string JoinStrings(std::span<const std::string> strings) {
  std::string bytes;
  for (const std::string& text : strings) {
    const std::uint64_t size = text.size();
    bytes.append(reinterpret_cast<const char*>(&size), sizeof(size)).append(text);
  }
  return bytes;
}

std::span<std::string> StringsOf(const TensorView& tensor) {
  return {static_cast<std::string*>(tensor.data()),
          static_cast<std::size_t>(tensor.element_count())};
}

}  // namespace

Sample::Sample(const std::string& description_path)
    : directory_(std::filesystem::path(description_path).parent_path()),
      description_(json::parse(ReadFile(description_path))) {
  for (const json& tensor : description_.at("tensors")) {
    for (const json& part : tensor.at("parts")) AddPart(tensor, part);
  }
}

void Sample::AddPart(const json& tensor, const json& part) {
  NamedTensor named = {
      .name = FromHex(tensor.at("name_hex")), .tensor = {}, .device = part.at("device")};
  const DType dtype = DTypeFromName(tensor.at("dtype").get<std::string>()).value();
  Shape shape = tensor.at("shape");
  if (part.contains("start")) {
    named.full_shape = shape;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      named.slice.extents.push_back({part.at("start").at(i), part.at("length").at(i)});
    }
    shape = SliceShape(named.full_shape, named.slice);
  }
  const auto count = static_cast<std::size_t>(ElementCount(shape));
  void* data = nullptr;
  if (dtype == DType::kString) {
    data = strings_.emplace_back(count).data();
  } else {
    data = bytes_.emplace_back(count * ElementBytes(dtype)).data();
  }
  named.tensor = TensorView(data, dtype, shape);
  tensors_.push_back(std::move(named));
  files_.push_back(directory_ / part.at("file").get<std::string>());
}

void Sample::LoadFiles() {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const TensorView& tensor = tensors_[i].tensor;
    const std::string content = ReadFile(files_[i]);
    if (tensor.dtype() == DType::kString) {
      std::vector<std::string> strings = SplitStrings(content);
      const std::span<std::string> target = StringsOf(tensor);
      if (strings.size() != target.size())
        throw std::runtime_error("wrong size: " + files_[i].string());
      std::move(strings.begin(), strings.end(), target.begin());
    } else {
      if (content.size() != tensor.size_bytes())
        throw std::runtime_error("wrong size: " + files_[i].string());
      if (!content.empty()) std::memcpy(tensor.data(), content.data(), content.size());
    }
  }
}

void Sample::StoreFiles() const {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const TensorView& tensor = tensors_[i].tensor;
    const std::string content =
        tensor.dtype() == DType::kString
            ? JoinStrings(StringsOf(tensor))
            : std::string(static_cast<const char*>(tensor.data()), tensor.size_bytes());
    std::ofstream file(files_[i], std::ios::binary);
    if (!(file << content).flush()) throw std::runtime_error("cannot write " + files_[i].string());
  }
}

}  // namespace waypost
