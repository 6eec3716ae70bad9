#include "support/system_calls.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

namespace waypost {
namespace {

// What is to become of a call.
struct Verdict {
  int errno_value = 0;
  std::optional<std::size_t> short_to = {};
  explicit operator bool() const noexcept { return errno_value != 0; }
};

struct State {
  std::mutex mutex;
  // All guarded by mutex.
  std::optional<CallFault> fault;
  std::uint64_t matched = 0;
  std::vector<FailedCall> failed;
  // Requests that are to fail, by ring and user data.
  std::map<std::pair<const io_uring*, std::uint64_t>, int> uring_errors;
};

State& TheState() {
  static State state;
  return state;
}
// So that calls before main, and between tests, cost nothing.
std::atomic<bool> is_armed = false;

std::string PathOf(int fd) {
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  using ReadLink = ssize_t (*)(const char*, char*, size_t);
  static const auto read_link = reinterpret_cast<ReadLink>(::dlsym(RTLD_NEXT, "readlink"));
  const ssize_t size = read_link(link.c_str(), path.data(), path.size());
  return size < 0 ? std::string() : std::string(path.data(), static_cast<std::size_t>(size));
}

// `path`: "" for a call that has none.
Verdict Judge(std::string_view call, const std::string& path) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  if (!state.fault || state.fault->call != call) return {};
  if (!path.empty() && path.find(state.fault->path_part) == std::string::npos) return {};
  const std::uint64_t number = state.matched++;
  if (number < state.fault->at || number - state.fault->at >= state.fault->times) return {};
  state.failed.push_back({std::string(call), path, state.fault->errno_value});
  return {.errno_value = state.fault->short_to ? 0 : state.fault->errno_value,
          .short_to = state.fault->short_to};
}

Verdict JudgePath(std::string_view call, const char* path) {
  return is_armed ? Judge(call, path) : Verdict{};
}
Verdict JudgeFd(std::string_view call, int fd) {
  return is_armed ? Judge(call, PathOf(fd)) : Verdict{};
}

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

int Fail(const Verdict& verdict) {
  errno = verdict.errno_value;
  return -1;
}

// ---- io_uring ----

// Judges the transfers that are about to be submitted, and cuts some short.
void JudgeSubmissions(io_uring* ring) {
  const io_uring_sq& queue = ring->sq;
  for (unsigned i = queue.sqe_head; i != queue.sqe_tail; ++i) {
    io_uring_sqe& entry = queue.sqes[i & *queue.kring_mask];
    const bool is_write = entry.opcode == IORING_OP_WRITE || entry.opcode == IORING_OP_WRITE_FIXED;
    const bool is_read = entry.opcode == IORING_OP_READ || entry.opcode == IORING_OP_READ_FIXED;
    if (!is_write && !is_read) continue;
    const Verdict verdict = JudgeFd(is_write ? "uring_write" : "uring_read", entry.fd);
    if (verdict.short_to) entry.len = std::min(entry.len, static_cast<unsigned>(*verdict.short_to));
    if (!verdict) continue;
    // It ends before the submission returns, so that the error can be put into its completion.
    const std::uint64_t user_data = entry.user_data;
    ::io_uring_prep_nop(&entry);
    entry.user_data = user_data;
    State& state = TheState();
    const std::lock_guard lock(state.mutex);
    state.uring_errors[{ring, user_data}] = verdict.errno_value;
  }
}

// Gives the completions that are there the errors that they are to have.
void FailCompletions(io_uring* ring) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  if (state.uring_errors.empty()) return;
  const io_uring_cq& queue = ring->cq;
  const unsigned tail = __atomic_load_n(queue.ktail, __ATOMIC_ACQUIRE);
  for (unsigned i = *queue.khead; i != tail; ++i) {
    io_uring_cqe& entry = queue.cqes[i & *queue.kring_mask];
    const auto found = state.uring_errors.find({ring, entry.user_data});
    if (found == state.uring_errors.end()) continue;
    entry.res = -found->second;
    state.uring_errors.erase(found);
  }
}

}  // namespace

void SystemCalls::Inject(const CallFault& fault) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  state.fault = fault;
  state.matched = 0;
  state.failed.clear();
  is_armed = true;
}

std::vector<FailedCall> SystemCalls::Clear() {
  is_armed = false;
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  state.fault.reset();
  state.uring_errors.clear();
  return std::exchange(state.failed, {});
}

}  // namespace waypost

// ---- The functions themselves ----

using waypost::Fail;
using waypost::JudgeFd;
using waypost::JudgePath;
using waypost::Next;
using waypost::Verdict;

extern "C" {

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  static auto* const next = Next<int(const char*, int, ...)>("open");
  const bool is_direct = (flags & O_DIRECT) != 0;
  if (const Verdict verdict = JudgePath(is_direct ? "open_direct" : "open", path)) {
    return Fail(verdict);
  }
  return next(path, flags, mode);
}

int close(int fd) {
  static auto* const next = Next<int(int)>("close");
  const Verdict verdict = JudgeFd("close", fd);
  const int result = next(fd);
  return verdict ? Fail(verdict) : result;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  static auto* const next = Next<ssize_t(int, const void*, size_t)>("write");
  const Verdict verdict = JudgeFd("write", fd);
  if (verdict) return Fail(verdict);
  return next(fd, bytes, std::min(size, verdict.short_to.value_or(size)));
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  static auto* const next = Next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  const Verdict verdict = JudgeFd("pwrite", fd);
  if (verdict) return Fail(verdict);
  return next(fd, bytes, std::min(size, verdict.short_to.value_or(size)), offset);
}

ssize_t pread(int fd, void* bytes, size_t size, off_t offset) {
  static auto* const next = Next<ssize_t(int, void*, size_t, off_t)>("pread");
  const Verdict verdict = JudgeFd("pread", fd);
  if (verdict) return Fail(verdict);
  return next(fd, bytes, std::min(size, verdict.short_to.value_or(size)), offset);
}

ssize_t pwritev2(int fd, const iovec* pieces, int count, off_t offset, int flags) {
  static auto* const next = Next<ssize_t(int, const iovec*, int, off_t, int)>("pwritev2");
  if (const Verdict verdict = JudgeFd("pwritev2", fd)) return Fail(verdict);
  return next(fd, pieces, count, offset, flags);
}

ssize_t preadv2(int fd, const iovec* pieces, int count, off_t offset, int flags) {
  static auto* const next = Next<ssize_t(int, const iovec*, int, off_t, int)>("preadv2");
  if (const Verdict verdict = JudgeFd("preadv2", fd)) return Fail(verdict);
  return next(fd, pieces, count, offset, flags);
}

int fsync(int fd) {
  static auto* const next = Next<int(int)>("fsync");
  if (const Verdict verdict = JudgeFd("fsync", fd)) return Fail(verdict);
  return next(fd);
}

int fdatasync(int fd) {
  static auto* const next = Next<int(int)>("fdatasync");
  if (const Verdict verdict = JudgeFd("fdatasync", fd)) return Fail(verdict);
  return next(fd);
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
  static auto* const next = Next<int(int, int, off_t, off_t)>("fallocate");
  if (const Verdict verdict = JudgeFd("fallocate", fd)) return Fail(verdict);
  return next(fd, mode, offset, size);
}

int ftruncate(int fd, off_t size) noexcept {
  static auto* const next = Next<int(int, off_t)>("ftruncate");
  if (const Verdict verdict = JudgeFd("ftruncate", fd)) return Fail(verdict);
  return next(fd, size);
}

int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) {
  static auto* const next = Next<int(int, off64_t, off64_t, unsigned)>("sync_file_range");
  if (const Verdict verdict = JudgeFd("sync_file_range", fd)) return Fail(verdict);
  return next(fd, offset, size, flags);
}

int rename(const char* from, const char* to) noexcept {
  static auto* const next = Next<int(const char*, const char*)>("rename");
  if (const Verdict verdict = JudgePath("rename", to)) return Fail(verdict);
  return next(from, to);
}

int unlink(const char* path) noexcept {
  static auto* const next = Next<int(const char*)>("unlink");
  if (const Verdict verdict = JudgePath("unlink", path)) return Fail(verdict);
  return next(path);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* const next = Next<int(const char*, mode_t)>("mkdir");
  if (const Verdict verdict = JudgePath("mkdir", path)) return Fail(verdict);
  return next(path, mode);
}

int symlink(const char* target, const char* path) noexcept {
  static auto* const next = Next<int(const char*, const char*)>("symlink");
  if (const Verdict verdict = JudgePath("symlink", path)) return Fail(verdict);
  return next(target, path);
}

ssize_t readlink(const char* path, char* target, size_t size) noexcept {
  static auto* const next = Next<ssize_t(const char*, char*, size_t)>("readlink");
  if (const Verdict verdict = JudgePath("readlink", path)) return Fail(verdict);
  return next(path, target, size);
}

int stat(const char* path, struct stat* status) noexcept {
  static auto* const next = Next<int(const char*, struct stat*)>("stat");
  if (const Verdict verdict = JudgePath("stat", path)) return Fail(verdict);
  return next(path, status);
}

int fstat(int fd, struct stat* status) noexcept {
  static auto* const next = Next<int(int, struct stat*)>("fstat");
  if (const Verdict verdict = JudgeFd("fstat", fd)) return Fail(verdict);
  return next(fd, status);
}

int statx(int fd, const char* path, int flags, unsigned mask, struct statx* status) noexcept {
  static auto* const next = Next<int(int, const char*, int, unsigned, struct statx*)>("statx");
  if (const Verdict verdict = JudgeFd("statx", fd)) return Fail(verdict);
  return next(fd, path, flags, mask, status);
}

int statfs(const char* path, struct statfs* status) noexcept {
  static auto* const next = Next<int(const char*, struct statfs*)>("statfs");
  if (const Verdict verdict = JudgePath("statfs", path)) return Fail(verdict);
  return next(path, status);
}

int fstatfs(int fd, struct statfs* status) noexcept {
  static auto* const next = Next<int(int, struct statfs*)>("fstatfs");
  if (const Verdict verdict = JudgeFd("fstatfs", fd)) return Fail(verdict);
  return next(fd, status);
}

DIR* opendir(const char* path) {
  static auto* const next = Next<DIR*(const char*)>("opendir");
  if (const Verdict verdict = JudgePath("opendir", path)) {
    Fail(verdict);
    return nullptr;
  }
  return next(path);
}

dirent* readdir(DIR* directory) {
  static auto* const next = Next<dirent*(DIR*)>("readdir");
  if (const Verdict verdict = JudgeFd("readdir", ::dirfd(directory))) {
    Fail(verdict);
    return nullptr;
  }
  return next(directory);
}

int flock(int fd, int operation) noexcept {
  static auto* const next = Next<int(int, int)>("flock");
  // Giving a lock up is not looked at by anybody: closing the descriptor does it too.
  if (operation == LOCK_UN) return next(fd, operation);
  if (const Verdict verdict = JudgeFd("flock", fd)) return Fail(verdict);
  return next(fd, operation);
}

int fcntl(int fd, int command, ...) {
  static auto* const next = Next<int(int, int, ...)>("fcntl");
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (const Verdict verdict = JudgeFd("fcntl", fd)) return Fail(verdict);
  return next(fd, command, argument);
}

void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  static auto* const next = Next<void*(void*, size_t, int, int, int, off_t)>("mmap");
  const Verdict verdict = fd >= 0 ? JudgeFd("mmap", fd) : JudgePath("mmap_memory", "");
  if (verdict) {
    Fail(verdict);
    return MAP_FAILED;
  }
  return next(address, size, protection, flags, fd, offset);
}

int madvise(void* address, size_t size, int advice) noexcept {
  static auto* const next = Next<int(void*, size_t, int)>("madvise");
  const bool is_read = advice == MADV_POPULATE_READ;
  if (const Verdict verdict = JudgePath(is_read ? "madvise_read" : "madvise", "")) {
    return Fail(verdict);
  }
  return next(address, size, advice);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                   void* argument) noexcept {
  using Body = void* (*)(void*);
  static auto* const next =
      Next<int(pthread_t*, const pthread_attr_t*, Body, void*)>("pthread_create");
  if (const Verdict verdict = JudgePath("pthread_create", "")) return verdict.errno_value;
  return next(thread, attributes, body, argument);
}

int io_uring_queue_init(unsigned entries, io_uring* ring, unsigned flags) {
  static auto* const next = Next<int(unsigned, io_uring*, unsigned)>("io_uring_queue_init");
  if (const Verdict verdict = JudgePath("io_uring_queue_init", "")) return -verdict.errno_value;
  return next(entries, ring, flags);
}

io_uring_probe* io_uring_get_probe_ring(io_uring* ring) {
  static auto* const next = Next<io_uring_probe*(io_uring*)>("io_uring_get_probe_ring");
  return JudgePath("io_uring_get_probe_ring", "") ? nullptr : next(ring);
}

int io_uring_register_buffers(io_uring* ring, const iovec* pieces, unsigned count) {
  static auto* const next =
      Next<int(io_uring*, const iovec*, unsigned)>("io_uring_register_buffers");
  if (const Verdict verdict = JudgePath("io_uring_register_buffers", "")) {
    return -verdict.errno_value;
  }
  return next(ring, pieces, count);
}

int io_uring_submit_and_wait(io_uring* ring, unsigned count) {
  static auto* const next = Next<int(io_uring*, unsigned)>("io_uring_submit_and_wait");
  if (const Verdict verdict = JudgePath("io_uring_submit_and_wait", "")) {
    return -verdict.errno_value;
  }
  if (waypost::is_armed) waypost::JudgeSubmissions(ring);
  const int result = next(ring, count);
  if (waypost::is_armed) waypost::FailCompletions(ring);
  return result;
}

int io_uring_get_events(io_uring* ring) {
  static auto* const next = Next<int(io_uring*)>("io_uring_get_events");
  if (const Verdict verdict = JudgePath("io_uring_get_events", "")) return -verdict.errno_value;
  const int result = next(ring);
  if (waypost::is_armed) waypost::FailCompletions(ring);
  return result;
}

int __io_uring_get_cqe(io_uring* ring, io_uring_cqe** entry, unsigned submit, unsigned count,
                       sigset_t* mask) {
  static auto* const next =
      Next<int(io_uring*, io_uring_cqe**, unsigned, unsigned, sigset_t*)>("__io_uring_get_cqe");
  if (count > 0) {
    if (const Verdict verdict = JudgePath("io_uring_wait", "")) return -verdict.errno_value;
  }
  const int result = next(ring, entry, submit, count, mask);
  if (waypost::is_armed) waypost::FailCompletions(ring);
  return result;
}

}  // extern "C"
