// IoRing moves whole windows between memory and files through an IoBackend.
//
//   ShardWriter, TensorLoader -> [IoRing] -> IoBackend (made by the FileSystem)
//
// Here, and nowhere else, short transfers are resumed, EINTR and EAGAIN are retried, a write that
// transfers nothing becomes EIO, and the number in flight is bounded by the backend's depth.
//
// Threads:  one at a time; a client is called on the thread that calls Write, Read or WaitOne.
// Errors:   reported to the client as values; nothing throws in the loop.
// Lifetime: ~IoRing waits for what is in flight, since the kernel still uses those buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "io/io_backend.h"

namespace waypost {

class IoRing {
 public:
  // Who asked for a transfer; told once how it ended.  It must not call the ring from there.
  class Client {
   public:
    virtual ~Client() = default;
    // `size`: bytes transferred: all of them, fewer when a read met the end of the file, or what
    // was done before the error.  `errno_value`: 0 or the first error.
    virtual void OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept = 0;
  };

  explicit IoRing(std::unique_ptr<IoBackend> backend);
  ~IoRing();
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;

  // Starts a transfer; first waits for another to end when the backend is full.  The bytes and
  // `client` must stay until the client has been told.
  void Write(DataFile& file, std::span<const std::byte> data, std::uint64_t offset, Client& client,
             std::uint64_t tag);
  void Read(DataFile& file, std::span<std::byte> data, std::uint64_t offset, Client& client,
            std::uint64_t tag);
  // The same for bytes that are in the page cache (DataFile::CachedBytes): through it.
  void ReadThroughCache(DataFile& file, std::span<std::byte> data, std::uint64_t offset,
                        Client& client, std::uint64_t tag);

  // Waits until at least one transfer has ended.  False when none is in flight.
  bool WaitOne();

  std::size_t in_flight() const noexcept;
  const IoBackend& backend() const noexcept { return *backend_; }

 private:
  struct Transfer {
    IoRequest rest;  // what is still to be done; rest.tag is this transfer's place in transfers_
    std::size_t done = 0;  // bytes
    unsigned retries = 0;  // EINTR and EAGAIN in a row
    Client* client = nullptr;
    std::uint64_t client_tag = 0;
  };

  void Start(const IoRequest& request, Client& client, std::uint64_t tag);
  // Resumes the transfer or tells its client; true when it has ended.
  bool Settle(const IoCompletion& completion);

  std::unique_ptr<IoBackend> backend_;
  std::vector<Transfer> transfers_;  // one place for each request the backend may have in flight
  std::vector<std::size_t> free_;    // places not in use
  std::vector<IoCompletion> completions_;  // scratch for WaitOne
};

}  // namespace waypost
