// LoadV1 hands on parts of a V1 checkpoint: decoded elements instead of bytes of a file.
//
//   TensorLoader -> [LoadV1] -> V1Reader, PartConsumer
//
// Each block of a file that holds something wanted is verified and read once, in the order of the
// file; its checksum is the only one there is.  Elements that stand in the file as in memory go
// from the mapped file to consumers that take mapped bytes (PartConsumer::TakesMapped); all others
// go through one window of the pool.
//
// Errors: as TensorLoader.
#pragma once

#include <stop_token>
#include <vector>

#include "format/v1_reader.h"
#include "memory/buffer_pool.h"
#include "restore/load_part.h"

namespace waypost {

// Requires: the parts are whole extents of `checkpoint`, whose v1() is there.
void LoadV1(const StoredCheckpoint& checkpoint, std::vector<LoadPart> parts, PartConsumer& consumer,
            BufferPool& pool, const std::stop_token& stop);

// The CRC-32C of a stored slice's elements as they are in memory; of strings one that tells
// different ones apart as well.
std::uint32_t V1Checksum(const V1Reader& reader, const StoredTensor& tensor,
                         const StoredExtent& extent);

}  // namespace waypost
