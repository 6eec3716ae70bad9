// fio's rates, where fio is installed.
//
// Its buffers are in huge pages, as Waypost's are: with its usual ones it is about half as fast,
// and no yardstick.  Where no huge pages are reserved, it gets ordinary memory that glibc asks the
// kernel to make of huge pages (GLIBC_TUNABLES), and the note says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace waypost::tool {

class Fio {
 public:
  // `directory` is for what it prints.
  explicit Fio(std::string directory);

  // Bytes a second; nullopt when fio is not there or does not work.  Write leaves the file, which
  // must not exist before.
  std::optional<double> Write(const std::string& path, std::uint64_t size_bytes);
  std::optional<double> Read(const std::string& path, std::uint64_t size_bytes);

  // The last command lines, in full; empty before.
  const std::string& write_command() const noexcept { return write_command_; }
  const std::string& read_command() const noexcept { return read_command_; }
  // What is to be known of the rates, or why there are none.
  const std::string& note() const noexcept { return note_; }

 private:
  std::optional<double> Run(const std::vector<std::string>& job, const char* direction,
                            std::string& command);

  std::string directory_;
  bool works_ = true;
  bool huge_pages_reserved_ = true;
  std::string write_command_;
  std::string read_command_;
  std::string note_;
};

}  // namespace waypost::tool
