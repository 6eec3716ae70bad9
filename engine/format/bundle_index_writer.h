// BundleIndexWriter: makes an index of the tensors of a save.
//
//   BuildIndex -> [BundleIndexWriter] -> TableWriter -> Committer's file
//
// A million entries would take several times the index's own size.  So the tensors are named first,
// and their entries are asked for one by one in the order in which the index has them: beside a
// block of the table only a reference to each name is kept, and the keys of slices.
//
// Errors: kInvalidArgument with the tensor's name and the reason.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "format/table_writer.h"
#include "waypost/tensor.h"
#include "wire/bundle_messages.h"

namespace waypost {

// A tensor or slice as an index names it; `full_shape` and `slice` as in NamedTensor: with an empty
// slice, or one as large as the whole, it is stored as the whole.
struct IndexedTensor {
  std::string_view name;
  DType dtype = DType::kInvalid;
  const Shape& shape;  // of the stored bytes
  const Shape& full_shape;
  const TensorSlice& slice;
};

class BundleIndexWriter {
 public:
  // The entry of the tensor that was added as the `number`th, from 0: with its shape and dtype, and
  // without slices.
  using EntrySource = std::function<BundleEntry(std::size_t number)>;

  explicit BundleIndexWriter(BundleHeader header) : header_(std::move(header)) {}

  // Tensors may come in any order; slices of one name are listed in the order they are added.  What
  // `tensor` refers to must stay until WriteTo has returned.  Refuses an empty name, a shape that
  // is not the slice's, and slices of one name that differ in dtype or full shape.
  void Add(const IndexedTensor& tensor);

  // Writes the index file: LevelDB's table, block_size 262144, no compression.  Refuses duplicates,
  // and a name both whole and in slices, before anything is written.  Call once.
  void WriteTo(const TableWriter::Sink& sink, const EntrySource& entry_of);

 private:
  struct Key {
    std::string_view key;
    std::size_t number = 0;  // kOwnEntry: a sliced tensor's own
  };
  struct Sliced {
    DType dtype = DType::kInvalid;
    const Shape* full_shape = nullptr;
    std::vector<const TensorSlice*> slices;
  };

  void AddSlice(const IndexedTensor& tensor);
  void SortKeys();
  std::string EncodedEntry(const Key& key, const EntrySource& entry_of) const;

  BundleHeader header_;
  std::size_t count_ = 0;
  std::vector<Key> keys_;
  std::deque<std::string> slice_keys_;         // a deque: `keys_` points into it
  std::map<std::string_view, Sliced> sliced_;  // by name
};

}  // namespace waypost
