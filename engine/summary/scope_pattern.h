// ScopePattern: MergeAll's scope, a regular expression for the front of names.
#pragma once

#include <memory>
#include <string>

namespace waypost {

class ScopePattern {
 public:
  // ECMAScript's grammar; an empty pattern matches all.  kInvalidArgument for one that is wrong.
  explicit ScopePattern(const std::string& pattern);
  ~ScopePattern();
  ScopePattern(const ScopePattern&) = delete;
  ScopePattern& operator=(const ScopePattern&) = delete;

  // Whether `name` begins with a match, as Python's re.match.  kInvalidArgument when the pattern
  // takes too much to tell, or the name is too long for it.
  bool MatchesFrontOf(const std::string& name) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace waypost
