// StateMemory: the memory that a measured state lies in, the host's or a GPU's, and how quickly
// bytes move there with nothing around it.
//
// Threads: one.
// Errors:  Error; kResourceExhausted when there is not as much memory.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

namespace waypost {

class StateMemory {
 public:
  virtual ~StateMemory() = default;

  // Where tensors lie; its bytes are reached by Write and Read only.
  virtual std::span<std::byte> memory() const noexcept = 0;
  virtual void Write(std::byte* target, std::span<const std::byte> source) = 0;
  virtual void Read(std::span<std::byte> target, const std::byte* source) const = 0;

  // Bytes a second of one half copied over the other half, whose content is lost.  0: no memory.
  virtual double CopyRate() = 0;

  // How quickly as many bytes as the memory has go between it and page-locked memory of the host.
  // The content is lost.
  struct LinkRates {
    double to_host = 0;
    double from_host = 0;
  };
  // nullopt: there is no link, since it is the host's memory.
  virtual std::optional<LinkRates> MeasureLink() { return std::nullopt; }
};

// Of the host, never touched; a state in it is filled before anything is measured.
std::unique_ptr<StateMemory> MakeHostMemory(std::size_t size_bytes);
// Of GPU `ordinal`.  Throws kUnavailable, with the reason, where there is no such GPU.
std::unique_ptr<StateMemory> MakeGpuMemory(int ordinal, std::size_t size_bytes);

}  // namespace waypost
