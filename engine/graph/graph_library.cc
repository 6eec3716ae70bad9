#include "graph/graph_library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <filesystem>
#include <vector>

#include "waypost/error.h"

namespace waypost {
namespace {

constexpr const char* kLibraryName = "libwaypost_graph.so";

// RTLD_DEEPBIND makes the library's calls of protobuf reach its own libprotobuf even where
// TensorFlow has put another one before it.  The sanitizers' runtimes refuse the flag.
//
// It also makes a call of malloc or free in the library reach libc's, past one that was preloaded
// (jemalloc).  Neither the library nor libprotobuf calls them: they take memory by libstdc++'s
// operator new, which is bound to the preloaded malloc as everybody's is, so that strings and
// vectors may be freed on the other side of GraphCodec.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WAYPOST_HAS_SANITIZER
#elif defined(__has_feature)  // clang
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WAYPOST_HAS_SANITIZER
#endif
#endif
#ifdef WAYPOST_HAS_SANITIZER
constexpr int kLoadFlags = RTLD_NOW | RTLD_LOCAL;
#else
constexpr int kLoadFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif

// The program or shared library that this code is linked into; empty when the system does not tell.
std::filesystem::path OwnPath() {
  Dl_info info = {};
  void* extra = nullptr;
  if (dladdr1(reinterpret_cast<const void*>(&OwnPath), &info, &extra, RTLD_DL_LINKMAP) == 0)
    return {};
  const auto* map = static_cast<const link_map*>(extra);
  if (map->l_name != nullptr && map->l_name[0] != '\0') return map->l_name;
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe",
                                       error);  // the main program has no name there
}

std::vector<std::string> Candidates() {
  std::vector<std::string> paths;
  const std::filesystem::path folder = OwnPath().parent_path();
  if (!folder.empty()) {
    paths.push_back(folder / kLibraryName);
    paths.push_back((folder / "../lib" / kLibraryName).lexically_normal());
  }
  paths.emplace_back(kLibraryName);
  return paths;
}

const GraphCodec* CodecOf(void* library) noexcept {
  const auto entry = reinterpret_cast<GraphCodecEntry*>(dlsym(library, kGraphCodecEntry));
  return entry == nullptr ? nullptr : entry(kGraphCodecInterface);
}

const GraphCodec* Load() {
  std::string tried;
  for (const std::string& path : Candidates()) {
    void* library = dlopen(path.c_str(), kLoadFlags);
    if (library == nullptr) {
      tried += fmt::format("; {}", dlerror());  // names the path
    } else if (const GraphCodec* codec = CodecOf(library)) {
      return codec;
    } else {
      tried += fmt::format("; {}: not of this version of Waypost", path);
      dlclose(library);
    }
  }
  throw Error(Code::kNotFound, fmt::format("load {}{}", kLibraryName, tried));
}

}  // namespace

const GraphCodec& LoadedGraphCodec() {
  static const GraphCodec* const codec = Load();
  return *codec;
}

}  // namespace waypost
