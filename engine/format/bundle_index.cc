#include "format/bundle_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "format/index_checks.h"
#include "format/slice_codec.h"
#include "format/slice_set.h"
#include "format/table_reader.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Runs `action`, or throws what it has thrown before.  That is made anew: another thread may still
// have the first one in its hands.
template <typename Action>
void OnceFailing(std::unique_ptr<const Error>& fault, const Action& action) {
  if (fault != nullptr) throw Error(fault->code(), fault->what());
  try {
    action();
  } catch (const Error& error) {
    fault = std::make_unique<const Error>(error.code(), error.what());
    throw;
  }
}

}  // namespace

// The blocks read so far.  A block is read as a whole, and each of its entries is judged by itself;
// what an entry has to do with others is settled when it is asked for.
//
// Slice keys come before the tensors that list them, in other blocks, and a plain tensor may have a
// name that looks like one.  So what looks like the key of a slice is one if the tensor that it
// names is in slices, and a tensor with an odd name if not.
class BundleIndex::Content {
 public:
  Content(std::span<const std::byte> file, const std::string& path)
      : path_(path),
        bytes_(file.begin(), file.end()),
        table_(bytes_, path),
        header_(ReadHeader()),
        blocks_(table_.block_count()) {}

  const BundleHeader& header() const noexcept { return header_; }
  const std::vector<TensorReference>& All();
  const StoredTensor* Find(std::string_view name);
  Survey TakeSurvey();

 private:
  struct Entry {
    enum class Kind : std::uint8_t { kWhole, kSliced, kSliceKey };
    Kind kind = Kind::kWhole;
    // kSliced: its extents are complete.  Until then they have only their slices.
    bool is_joined = false;
    std::unique_ptr<const Error> fault;  // why it cannot be joined, once that was tried
    StoredTensor tensor;                 // its name is the key
  };
  using Block = std::vector<Entry>;
  // Damage is remembered, since each of a million slices may ask for the same block or tensor.
  struct BlockState {
    std::optional<Block> block;
    std::unique_ptr<const Error> fault;
  };

  BundleHeader ReadHeader() const;
  Block& BlockAt(std::size_t number);
  Entry Judge(std::string_view key, std::span<const std::byte> value) const;
  static Block::iterator FirstFrom(Block& block, std::string_view key);
  Entry* FindEntry(std::string_view key);
  bool IsTensor(Entry& entry);
  void Join(Entry& sliced);
  void JoinAnew(Entry& sliced);
  Entry& EntryOfSlice(const StoredTensor& tensor, const TensorSlice& slice);
  void RequireListed(std::string_view name, const std::set<const Entry*>& listed);

  const std::string path_;
  const std::vector<std::byte> bytes_;
  const TableReader table_;
  const BundleHeader header_;
  std::mutex mutex_;
  std::vector<BlockState> blocks_;                   // Guarded by mutex_; a block once read stays.
  std::optional<std::vector<TensorReference>> all_;  // Guarded by mutex_ until it is there.
};

BundleHeader BundleIndex::Content::ReadHeader() const {
  const std::optional<std::string> value = table_.Find("");
  if (!value) throw Error(Code::kDataLoss, path_ + ": no header");
  return CheckedHeader(AsBytes(*value), path_);
}

const std::vector<BundleIndex::TensorReference>& BundleIndex::Content::All() {
  const std::scoped_lock lock(mutex_);
  if (all_) return *all_;
  std::vector<TensorReference> all;
  for (std::size_t number = 0; number < blocks_.size(); ++number) {
    for (Entry& entry : BlockAt(number)) {
      if (IsTensor(entry)) all.emplace_back(entry.tensor);
    }
  }
  return all_.emplace(std::move(all));
}

const StoredTensor* BundleIndex::Content::Find(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  Entry* const entry = FindEntry(name);
  return entry != nullptr && IsTensor(*entry) ? &entry->tensor : nullptr;
}

BundleIndex::Survey BundleIndex::Content::TakeSurvey() {
  const std::scoped_lock lock(mutex_);
  Survey survey;
  std::set<std::string> told;  // a damaged block is met again by those whose slices it has
  const auto note = [&](std::string line) {
    if (told.insert(line).second) survey.damage.push_back(std::move(line));
  };
  for (std::size_t number = 0; number < blocks_.size(); ++number) {
    Block* block = nullptr;
    try {
      block = &BlockAt(number);
    } catch (const Error& error) {
      note(error.what());
      continue;
    }
    for (Entry& entry : *block) {
      try {
        if (IsTensor(entry)) survey.tensors.emplace_back(entry.tensor);
      } catch (const Error& error) {
        note(error.what());
      }
    }
  }
  for (std::string& line : table_.FindUnreadDamage()) note(std::move(line));
  return survey;
}

// Reads the block when it is first asked for.
BundleIndex::Content::Block& BundleIndex::Content::BlockAt(std::size_t number) {
  auto& [block, fault] = blocks_[number];
  if (block) return *block;
  OnceFailing(fault, [&, &block = block] {
    Block entries;
    table_.ForEachIn(number, [&](std::string_view key, std::span<const std::byte> value) {
      if (!key.empty()) entries.push_back(Judge(key, value));  // the empty one is the header's
    });
    block.emplace(std::move(entries));
  });
  return *block;
}

// All that can be said of an entry without looking at others.
BundleIndex::Content::Entry BundleIndex::Content::Judge(std::string_view key,
                                                        std::span<const std::byte> value) const {
  const std::optional<SliceKey> slice_key =
      key.front() == '\0' ? DecodeSliceKey(key) : std::nullopt;
  const IndexContext context = slice_key ? IndexContext(path_, slice_key->name, &slice_key->slice)
                                         : IndexContext(path_, key);
  std::optional<BundleEntry> stored = DecodeBundleEntry(value);
  if (!stored) context.Fail("its entry cannot be parsed");
  Entry entry;
  StoredTensor& tensor = entry.tensor;
  tensor.name = key;
  tensor.dtype = CheckedDType(stored->dtype_number, context);
  if (stored->slices.empty()) {
    if (slice_key) entry.kind = Entry::Kind::kSliceKey;
    tensor.extents.push_back(CheckedExtent(*stored, tensor.dtype, header_.shard_count, context));
  } else {
    entry.kind = Entry::Kind::kSliced;
    CheckedElementCount(stored->shape, tensor.dtype, context);
    tensor.is_sliced = true;
    tensor.extents.reserve(stored->slices.size());
    for (TensorSlice& slice : stored->slices) {
      tensor.extents.emplace_back().slice = std::move(slice);
    }
  }
  tensor.shape = std::move(stored->shape);
  return entry;
}

BundleIndex::Content::Block::iterator BundleIndex::Content::FirstFrom(Block& block,
                                                                      std::string_view key) {
  return std::lower_bound(block.begin(), block.end(), key,
                          [](const Entry& entry, std::string_view wanted) {
                            return std::string_view(entry.tensor.name) < wanted;
                          });
}

BundleIndex::Content::Entry* BundleIndex::Content::FindEntry(std::string_view key) {
  const std::size_t number = table_.BlockOf(key);
  if (number == blocks_.size()) return nullptr;
  Block& block = BlockAt(number);
  const auto entry = FirstFrom(block, key);
  return entry != block.end() && entry->tensor.name == key ? &*entry : nullptr;
}

// Whether the entry is a tensor, which is complete then, or only a slice of one.
bool BundleIndex::Content::IsTensor(Entry& entry) {
  if (entry.kind == Entry::Kind::kWhole) return true;
  if (entry.kind == Entry::Kind::kSliced) {
    Join(entry);
    return true;
  }
  Entry* const owner = FindEntry(DecodeSliceKey(entry.tensor.name)->name);
  if (owner == nullptr || owner->kind != Entry::Kind::kSliced) return true;
  Join(*owner);  // refuses slices that it does not list
  return false;
}

// Gives a tensor the extents of the slices that it lists.
void BundleIndex::Content::Join(Entry& sliced) {
  if (!sliced.is_joined) OnceFailing(sliced.fault, [&] { JoinAnew(sliced); });
}

// All slices are looked at before anything is changed.
void BundleIndex::Content::JoinAnew(Entry& sliced) {
  StoredTensor& tensor = sliced.tensor;
  const IndexContext context(path_, tensor.name);
  std::vector<TensorSlice> slices;
  std::vector<Entry*> entries;
  std::set<const Entry*> listed;
  for (const StoredExtent& extent : tensor.extents) {
    entries.push_back(&EntryOfSlice(tensor, extent.slice));
    if (!listed.insert(entries.back()).second) {
      IndexContext(path_, tensor.name, &extent.slice).Fail("it is listed twice");
    }
    slices.push_back(extent.slice);
  }
  const auto overlap = context.Checked([&] { return FindOverlap(tensor.shape, slices); });
  if (overlap) {
    context.Fail(fmt::format("slices {} and {} overlap", SliceText(slices[overlap->first]),
                             SliceText(slices[overlap->second])));
  }
  RequireListed(tensor.name, listed);
  for (std::size_t i = 0; i < slices.size(); ++i) {
    tensor.extents[i] = std::move(entries[i]->tensor.extents.front());
    tensor.extents[i].slice = std::move(slices[i]);
  }
  sliced.is_joined = true;
}

BundleIndex::Content::Entry& BundleIndex::Content::EntryOfSlice(const StoredTensor& tensor,
                                                                const TensorSlice& slice) {
  const IndexContext context(path_, tensor.name, &slice);
  if (slice.IsWhole()) context.Fail("it has no extents");
  Entry* const entry = FindEntry(EncodeSliceKey(tensor.name, slice));
  if (entry == nullptr || entry->kind != Entry::Kind::kSliceKey) context.Fail("it has no entry");
  const StoredTensor& stored = entry->tensor;
  const Shape shape = context.Checked([&] { return SliceShape(tensor.shape, slice); });
  if (stored.shape != shape) {
    context.Fail(
        fmt::format("stored shape {} where it has {}", ShapeText(stored.shape), ShapeText(shape)));
  }
  if (stored.dtype != tensor.dtype) context.Fail("its dtype differs from the tensor's");
  return *entry;
}

// The keys of all slices of a tensor stand side by side.
void BundleIndex::Content::RequireListed(std::string_view name,
                                         const std::set<const Entry*>& listed) {
  const std::string prefix = SliceKeyPrefix(name);
  for (std::size_t number = table_.BlockOf(prefix); number < blocks_.size(); ++number) {
    Block& block = BlockAt(number);
    for (auto entry = FirstFrom(block, prefix); entry != block.end(); ++entry) {
      if (!entry->tensor.name.starts_with(prefix)) return;
      if (entry->kind == Entry::Kind::kSliceKey && !listed.contains(&*entry)) {
        IndexContext(path_, entry->tensor.name)
            .Fail("it is the key of a slice that its tensor does not list");
      }
    }
  }
}

BundleIndex::BundleIndex(std::span<const std::byte> file, const std::string& path)
    : content_(std::make_unique<Content>(file, path)) {}
BundleIndex::BundleIndex(BundleIndex&& other) noexcept = default;
BundleIndex& BundleIndex::operator=(BundleIndex&& other) noexcept = default;
BundleIndex::~BundleIndex() = default;

const BundleHeader& BundleIndex::header() const noexcept { return content_->header(); }

const std::vector<BundleIndex::TensorReference>& BundleIndex::tensors() const {
  return content_->All();
}

const StoredTensor* BundleIndex::Find(std::string_view name) const { return content_->Find(name); }

BundleIndex::Survey BundleIndex::TakeSurvey() const { return content_->TakeSurvey(); }

}  // namespace waypost
