// IndexMaker: the file of an index whose entries are all at hand.
#pragma once

#include <deque>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "format/bundle_index_writer.h"

namespace waypost {

class IndexMaker {
 public:
  explicit IndexMaker(const BundleHeader& header) : writer_(header) {}

  // As BundleIndexWriter::Add; the shape and the dtype are the entry's.
  void Add(std::string name, Shape full_shape, TensorSlice slice, BundleEntry entry) {
    added_.push_back({std::move(name), std::move(full_shape), std::move(slice), std::move(entry)});
    const Added& added = added_.back();
    try {
      writer_.Add({.name = added.name,
                   .dtype = static_cast<DType>(added.entry.dtype_number),
                   .shape = added.entry.shape,
                   .full_shape = added.full_shape,
                   .slice = added.slice});
    } catch (...) {
      added_.pop_back();
      throw;
    }
  }
  std::string Finish() {
    std::string file;
    writer_.WriteTo([&](std::span<const std::byte> bytes) { file += AsText(bytes); },
                    [&](std::size_t number) { return added_[number].entry; });
    return file;
  }

 private:
  struct Added {
    std::string name;
    Shape full_shape;
    TensorSlice slice;
    BundleEntry entry;
  };

  std::deque<Added> added_;  // the writer refers to them
  BundleIndexWriter writer_;
};

}  // namespace waypost
