#include "io/io_ring.h"

#include <cerrno>

#include "base/check.h"

namespace waypost {
namespace {

// A device that says "again" this often in a row is not going to do it.
constexpr unsigned kRetriesMax = 1000;

}  // namespace

IoRing::IoRing(std::unique_ptr<IoBackend> backend)
    : backend_(std::move(backend)), transfers_(backend_->depth()), completions_(backend_->depth()) {
  WAYPOST_CHECK(!transfers_.empty());
  free_.reserve(transfers_.size());
  for (std::size_t place = transfers_.size(); place > 0; --place) free_.push_back(place - 1);
}

IoRing::~IoRing() {
  while (WaitOne()) {
  }
}

void IoRing::Write(DataFile& file, std::span<const std::byte> data, std::uint64_t offset,
                   Client& client, std::uint64_t tag) {
  // A request's buffer is shared by both directions; a write only reads it.
  auto* const bytes = const_cast<std::byte*>(data.data());
  Start({IoRequest::Kind::kWrite, &file, bytes, data.size(), offset}, client, tag);
}

void IoRing::Read(DataFile& file, std::span<std::byte> data, std::uint64_t offset, Client& client,
                  std::uint64_t tag) {
  Start({IoRequest::Kind::kRead, &file, data.data(), data.size(), offset}, client, tag);
}

void IoRing::ReadThroughCache(DataFile& file, std::span<std::byte> data, std::uint64_t offset,
                              Client& client, std::uint64_t tag) {
  Start({.kind = IoRequest::Kind::kRead,
         .file = &file,
         .data = data.data(),
         .size = data.size(),
         .offset = offset,
         .through_cache = true},
        client, tag);
}

bool IoRing::WaitOne() {
  if (in_flight() == 0) return false;
  for (bool ended = false; !ended;) {
    const std::size_t count = backend_->Wait(completions_);
    for (std::size_t i = 0; i < count; ++i) ended = Settle(completions_[i]) || ended;
  }
  return true;
}

std::size_t IoRing::in_flight() const noexcept { return transfers_.size() - free_.size(); }

void IoRing::Start(const IoRequest& request, Client& client, std::uint64_t tag) {
  if (request.size == 0) {  // For a backend, zero bytes would mean end of file or an error.
    client.OnTransferDone(tag, 0, 0);
    return;
  }
  if (free_.empty()) WaitOne();
  const std::size_t place = free_.back();
  free_.pop_back();
  transfers_[place] = {
      .rest = request, .done = 0, .retries = 0, .client = &client, .client_tag = tag};
  transfers_[place].rest.tag = place;
  backend_->Submit(transfers_[place].rest);
}

bool IoRing::Settle(const IoCompletion& completion) {
  Transfer& transfer = transfers_.at(completion.tag);
  IoRequest& rest = transfer.rest;
  int errno_value = 0;
  bool again = false;
  if (completion.result > 0) {
    const auto size = static_cast<std::size_t>(completion.result);
    WAYPOST_CHECK(size <= rest.size);
    rest.data += size;
    rest.size -= size;
    rest.offset += size;
    transfer.done += size;
    transfer.retries = 0;
    again = rest.size > 0;
  } else if (completion.result == -EINTR || completion.result == -EAGAIN) {
    again = ++transfer.retries < kRetriesMax;
    errno_value = static_cast<int>(-completion.result);
  } else if (completion.result < 0) {
    errno_value = static_cast<int>(-completion.result);
  } else if (rest.kind == IoRequest::Kind::kWrite) {
    errno_value = EIO;  // Nothing written and no reason given: asking again might never end.
  }
  if (again) {
    backend_->Submit(rest);
    return false;
  }
  free_.push_back(static_cast<std::size_t>(completion.tag));
  transfer.client->OnTransferDone(transfer.client_tag, transfer.done, errno_value);
  return true;
}

}  // namespace waypost
