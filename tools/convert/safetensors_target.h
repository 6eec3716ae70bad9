// SafetensorsTarget: a safetensors file of a source's tensors, or a set of files with an index.
//
//   Source, Selection -> WindowStream -> [SafetensorsTarget]
//
// The files are written under temporary names, synced and read back; then they get their names, and
// last of all the index of a set, by which readers find them, is put in place.  A file is committed
// by one rename, and so is a set.  Files of a set that is replaced keep their names until then: the
// new ones get others.
//
// Threads:  one.
// Errors:   until the commit nothing is at the target, or what was there before.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "convert/run_context.h"
#include "convert/selection.h"
#include "convert/source.h"

namespace waypost::tool {

struct SafetensorsTargetOptions {
  std::string path;        // *.safetensors by custom
  std::size_t shards = 0;  // files of about equal bytes, where more than 1
  SafetensorsMetadata metadata = {};
  bool verify = true;
};

struct SafetensorsWritten {
  std::vector<std::string> files;  // the index of a set comes last
  std::size_t joined_count = 0;    // tensors whose slices were put together
  std::vector<std::string> warnings;
};

SafetensorsWritten WriteSafetensors(const RunContext& context, Source& source,
                                    const Selection& selection,
                                    const SafetensorsTargetOptions& options);

// What is there under the target's name: the file, and the index of a set with its files.
std::vector<std::string> SafetensorsAt(FileSystem& fs, const std::string& path);

}  // namespace waypost::tool
