// DescriptorLimit lets the process have fewer open files.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace waypost {

// While it lives, this process opens no descriptor of `count` or more: EMFILE.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t count) {
    ::getrlimit(RLIMIT_NOFILE, &old_);
    const rlimit limit{count, old_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &old_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit old_{};
};

}  // namespace waypost
