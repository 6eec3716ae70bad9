// CountingConsumer: another consumer, whose bytes are counted as they come.
//
// Threads:  as the other one; the count may be read by any.
// Lifetime: the count is borrowed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "restore/load_part.h"

namespace waypost {

class CountingConsumer : public PartConsumer {
 public:
  CountingConsumer(std::unique_ptr<PartConsumer> consumer, std::atomic<std::uint64_t>& bytes)
      : consumer_(std::move(consumer)), bytes_(bytes) {}

  void OnBytes(const LoadPart& part, std::uint64_t offset,
               std::span<const std::byte> bytes) override {
    consumer_->OnBytes(part, offset, bytes);
    bytes_ += bytes.size();
  }
  std::optional<std::uint32_t> Copy(const LoadPart& part, std::uint64_t offset,
                                    std::span<const std::byte> bytes,
                                    std::uint32_t crc32c) override {
    const std::optional<std::uint32_t> copied = consumer_->Copy(part, offset, bytes, crc32c);
    if (copied) bytes_ += bytes.size();
    return copied;
  }
  bool TakesMapped(const LoadPart& part) const override { return consumer_->TakesMapped(part); }
  void OnStrings(const LoadPart& part, std::vector<std::string> strings) override {
    consumer_->OnStrings(part, std::move(strings));
  }
  void OnPartDone(const LoadPart& part) override { consumer_->OnPartDone(part); }
  void OnDamage(const LoadPart& part, const Error& error) override {
    consumer_->OnDamage(part, error);
  }
  void OnWindowDone() override { consumer_->OnWindowDone(); }

 private:
  const std::unique_ptr<PartConsumer> consumer_;
  std::atomic<std::uint64_t>& bytes_;
};

}  // namespace waypost
