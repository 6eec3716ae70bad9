// Targets of one restore that share memory: tied weights under two names, or a buffer and views of
// its parts.  Pure: no I/O.
//
// Whatever file they come from, they must not be filled at the same time, and what becomes of one
// becomes of the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "restore/restore_planner.h"
#include "waypost/engine.h"

namespace waypost {

// Targets that overlap, each with some other of them.
struct SharedTargets {
  std::vector<std::size_t> targets;  // positions, ascending
  // They are the very same memory and filled from the same stored bytes: in any order.
  bool has_one_source = false;
};

// The checksum of what a piece is taken from.
using ChecksumOf = std::function<std::uint32_t(const RestorePiece& piece)>;
// As the checkpoint's index has it.
inline std::uint32_t StoredChecksum(const RestorePiece& piece) { return piece.extent->crc32c; }

// `pieces`: as PlanRestore gives them.  Throws kInvalidArgument, naming both, for two targets that
// are the very same memory where the checksums say that the checkpoint holds different values.
// `context` begins the message ("restore PREFIX").
std::vector<SharedTargets> FindSharedTargets(std::span<const NamedTensor> targets,
                                             std::span<const RestorePiece> pieces,
                                             const std::string& context,
                                             const ChecksumOf& checksum_of = StoredChecksum);

}  // namespace waypost
