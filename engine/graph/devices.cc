// Device strings as TensorFlow merges them: parts that may be missing, the inner ones winning.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "graph/graph_model.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// The parts of "/job:worker/replica:0/task:1/device:GPU:0", each empty where it is not given.
struct DeviceSpec {
  std::string job;
  std::string replica;
  std::string task;
  std::string type;
  std::string index;
};

bool IsNumber(std::string_view text) {
  return !text.empty() && text.size() <= 9 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsWord(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

// "device:GPU:1", "device:GPU:*", "device:GPU", and of old "gpu:1", "cpu", where the first word is
// the type.
bool TakeDevice(const std::vector<std::string_view>& words, DeviceSpec& spec) {
  const std::size_t type = words[0] == "device" ? 1 : 0;
  if (words.size() <= type || words.size() > type + 2 || !IsWord(words[type])) return false;
  constexpr std::array<std::string_view, 5> kShortForms = {"CPU", "GPU", "TPU", "CUSTOM", "EPU"};
  spec.type = UpperCase(words[type]);
  if (type == 0 && std::ranges::count(kShortForms, spec.type) == 0) return false;
  spec.index.clear();
  if (words.size() == type + 1 || words[type + 1] == "*") return true;
  spec.index = words[type + 1];
  return IsNumber(spec.index);
}

bool TakePart(std::string_view part, DeviceSpec& spec) {
  const std::vector<std::string_view> words = Split(part, ':');
  if (words.size() == 2 && words[0] == "job" && IsWord(words[1])) {
    spec.job = words[1];
  } else if (words.size() == 2 && words[0] == "replica" && IsNumber(words[1])) {
    spec.replica = words[1];
  } else if (words.size() == 2 && words[0] == "task" && IsNumber(words[1])) {
    spec.task = words[1];
  } else {
    return TakeDevice(words, spec);
  }
  return true;
}

void Take(const std::string& device, DeviceSpec& spec) {
  if (device.empty()) return;
  const std::vector<std::string_view> parts = Split(device, '/');
  bool valid = parts.size() >= 2 && parts[0].empty();
  for (std::size_t i = 1; valid && i < parts.size(); ++i) valid = TakePart(parts[i], spec);
  if (!valid) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("'{}' names no device; one is \"/job:worker/task:0/device:GPU:1\", each "
                    "part optional",
                    device));
  }
}

}  // namespace

std::string MergeDevices(const std::string& outer, const std::string& inner) {
  DeviceSpec spec;
  Take(outer, spec);
  Take(inner, spec);
  std::string merged;
  if (!spec.job.empty()) merged += "/job:" + spec.job;
  if (!spec.replica.empty()) merged += "/replica:" + spec.replica;
  if (!spec.task.empty()) merged += "/task:" + spec.task;
  if (!spec.type.empty()) {
    merged += fmt::format("/device:{}:{}", spec.type, spec.index.empty() ? "*" : spec.index);
  }
  return merged;
}

DeviceScope::DeviceScope(Graph& graph, const std::string& device)
    : graph_(&graph), outer_(graph.impl().device()) {
  graph.impl().set_device(MergeDevices(outer_, device));
}

DeviceScope::~DeviceScope() { graph_->impl().set_device(std::move(outer_)); }

}  // namespace waypost
