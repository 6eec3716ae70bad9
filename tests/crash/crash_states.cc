#include "crash/crash_states.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <vector>

namespace waypost {
namespace {

constexpr std::size_t kSaveIdDigits = 16;
constexpr std::size_t kTextBytesMax = 4096;  // of a lock file or a journal

// Of all scenarios.
struct Total {
  std::uint64_t cuts = 0;
  std::uint64_t disks = 0;
  std::unordered_set<std::uint64_t> seen;
};

Total& TotalOfProgram() {
  static Total total;
  return total;
}

class TotalIsPrinted final : public ::testing::Environment {
 public:
  void TearDown() override {
    const Total& total = TotalOfProgram();
    if (total.cuts == 0) return;
    std::printf("crash states: %llu cuts, %llu disks, %zu distinct ones, %s\n",
                static_cast<unsigned long long>(total.cuts),
                static_cast<unsigned long long>(total.disks), total.seen.size(),
                ::testing::UnitTest::GetInstance()->Passed() ? "no checkpoint lost" : "FAILED");
    if (const char* const least = std::getenv("WAYPOST_CRASH_STATES_MIN")) {
      EXPECT_GE(total.seen.size(), std::strtoull(least, nullptr, 10));
    }
  }
};

const auto* const kTotalIsPrinted =
    ::testing::AddGlobalTestEnvironment(new TotalIsPrinted);  // GoogleTest deletes it.

bool IsHexDigit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// Leaves out every run of as many hexadecimal digits as an id has.
std::string WithoutIds(std::string_view text) {
  std::string rest;
  while (!text.empty()) {
    const auto* const end = std::find_if_not(text.begin(), text.end(), IsHexDigit);
    const auto digits = static_cast<std::size_t>(end - text.begin());
    if (digits != kSaveIdDigits) rest += text.substr(0, digits);
    text.remove_prefix(digits);
    if (text.empty()) break;
    rest += text.front();
    text.remove_prefix(1);
  }
  return rest;
}

std::string HashText(std::string_view content) {
  return std::to_string(std::hash<std::string_view>()(content));
}

}  // namespace

std::uint64_t CrashStateHash(const SimDisk& disk) {
  std::vector<std::string> entries;
  for (const auto& [path, content] : disk.files) {
    const bool is_text =
        content->size() <= kTextBytesMax && (path.ends_with(".lock") || path.ends_with(".tmp"));
    entries.push_back(WithoutIds(path) + '\0' +
                      (is_text ? HashText(WithoutIds(*content)) : HashText(*content)));
  }
  for (const auto& [path, target] : disk.links) {
    entries.push_back(WithoutIds(path) + '\1' + WithoutIds(target));
  }
  for (const std::string& path : disk.directories) entries.push_back(path + '\2');
  std::sort(entries.begin(), entries.end());
  std::string all;
  for (const std::string& entry : entries) all += entry + '\3';
  return std::hash<std::string>()(all);
}

void CrashStates::Add(const SimDisk& disk) {
  ++disks_;
  seen_.insert(CrashStateHash(disk));
}

void CrashStates::Print() const {
  std::printf("%s: %llu cuts, %llu disks, %zu distinct\n", scenario_.c_str(),
              static_cast<unsigned long long>(cuts_), static_cast<unsigned long long>(disks_),
              seen_.size());
  Total& total = TotalOfProgram();
  total.cuts += cuts_;
  total.disks += disks_;
  total.seen.insert(seen_.begin(), seen_.end());
}

}  // namespace waypost
