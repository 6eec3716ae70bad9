#include "driver_values.h"

#include <cstring>
#include <span>
#include <stdexcept>
#include <string_view>

namespace waypost {
namespace {

using nlohmann::json;

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string ToHex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const char each : bytes) {
    const auto byte = static_cast<unsigned char>(each);
    hex.push_back(kDigits[byte >> 4U]);
    hex.push_back(kDigits[byte & 15U]);
  }
  return hex;
}

}  // namespace

DType DTypeOf(const std::string& name) {
  const auto dtype = DTypeFromName(name);
  if (!dtype) throw std::runtime_error("no such dtype: " + name);
  return *dtype;
}

void SetValue(const TensorView& view, const json& value) {
  if (view.dtype() == DType::kString) {
    const std::span elements(static_cast<std::string*>(view.data()),
                             static_cast<std::size_t>(view.element_count()));
    for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = FromHex(value.at(i));
    return;
  }
  const std::string bytes = FromHex(value);
  if (bytes.size() != view.size_bytes()) throw std::runtime_error("a value has the wrong size");
  if (!bytes.empty()) std::memcpy(view.data(), bytes.data(), bytes.size());
}

json GetValue(const ConstTensorView& view) {
  if (view.dtype() == DType::kString) {
    const std::span elements(static_cast<const std::string*>(view.data()),
                             static_cast<std::size_t>(view.element_count()));
    json value = json::array();
    for (const std::string& element : elements) value.push_back(ToHex(element));
    return value;
  }
  return ToHex({static_cast<const char*>(view.data()), view.size_bytes()});
}

}  // namespace waypost
