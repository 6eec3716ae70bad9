// Alone with <regex>, of which GCC 12 warns where there are sanitizers (CMakeLists.txt).
#include "summary/scope_pattern.h"

#include <fmt/format.h>

#include <regex>

#include "base/escape.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// libstdc++ calls itself for every character that a repetition takes.  Nobody's names are so long.
constexpr std::size_t kNameCharactersMax = 2048;
constexpr std::size_t kNameCharactersShown = 40;

}  // namespace

class ScopePattern::Impl {
 public:
  explicit Impl(const std::string& pattern) : pattern_(pattern) {
    Try([&] { regex_.assign(pattern); });
  }

  bool MatchesFrontOf(const std::string& name) const {
    if (pattern_.empty()) return true;
    if (name.size() > kNameCharactersMax) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("merge all summaries: the name '{}...' has {} characters, more than "
                              "can be held against a scope",
                              Printable(name.substr(0, kNameCharactersShown)), name.size()));
    }
    bool matches = false;
    Try([&] { matches = std::regex_search(name, regex_, std::regex_constants::match_continuous); });
    return matches;
  }

 private:
  template <typename F>
  void Try(F function) const {
    try {
      function();
    } catch (const std::regex_error& error) {
      throw Error(Code::kInvalidArgument, fmt::format("merge all summaries: scope '{}': {}",
                                                      Printable(pattern_), error.what()));
    }
  }

  std::string pattern_;
  std::regex regex_;
};

ScopePattern::ScopePattern(const std::string& pattern) : impl_(std::make_unique<Impl>(pattern)) {}
ScopePattern::~ScopePattern() = default;

bool ScopePattern::MatchesFrontOf(const std::string& name) const {
  return impl_->MatchesFrontOf(name);
}

}  // namespace waypost
