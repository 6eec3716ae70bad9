// With WAYPOST_EXPORT_DISKS=DIR the power-cut tests write a sample of their disks to real
// directories, for the real TensorFlow (tests/python/judge_disks.py).
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "support/sim_disk.h"

namespace waypost {

// What may stand on a disk, beside it in the file promise.json: the latest checkpoint is of step
// `promised` (0: there may be none) or a later one up to `started`, and none is of those cancelled.
struct DiskPromise {
  int promised = 0;
  int started = 0;
  std::set<int> cancelled = {};
};

// Writes the disk to DIR/NAME-NUMBER, unless it has no directory of checkpoints.
void ExportDisk(const SimDisk& disk, const std::string& name, std::size_t number,
                const DiskPromise& promise);

}  // namespace waypost
