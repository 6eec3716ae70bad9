#include "damage/loads.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {
namespace {

bool IsBytes(const NamedTensor& tensor) { return ElementBytes(tensor.tensor.dtype()) != 0; }

TensorSlice RandomBox(const Shape& shape, std::mt19937_64& random) {
  TensorSlice slice;
  for (const std::int64_t size : shape) {
    const auto start = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(size));
    slice.extents.push_back({start, 1 + static_cast<std::int64_t>(
                                            random() % static_cast<std::uint64_t>(size - start))});
  }
  return slice;
}

// The bytes of a box of a tensor, row by row.
std::string BytesOfBox(const std::string& whole, const Shape& shape, const TensorSlice& slice,
                       std::size_t width) {
  std::string box;
  std::vector<std::int64_t> at(shape.size(), 0);
  const auto row = static_cast<std::size_t>(slice.extents.back().length) * width;
  while (true) {
    std::int64_t element = 0;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      element = element * shape[i] + slice.extents[i].start + at[i];
    }
    box.append(whole, static_cast<std::size_t>(element) * width, row);
    std::size_t dimension = shape.size() - 1;
    while (dimension > 0 && ++at[dimension - 1] == slice.extents[dimension - 1].length) {
      at[--dimension] = 0;
    }
    if (dimension == 0) return box;
  }
}

// What is called loaded must be right, and what was not touched must be as it was.
void ExpectListsAreRight(const RestoreError& error, const TensorSet& expected,
                         const TensorSet& target, const char* way) {
  const std::set<std::string> assigned(error.assigned().begin(), error.assigned().end());
  const std::set<std::string> undefined(error.undefined().begin(), error.undefined().end());
  const TensorSet blank = expected.Blank();
  for (std::size_t i = 0; i < expected.tensors().size(); ++i) {
    const std::string& name = expected.tensors()[i].name;
    if (undefined.contains(name)) continue;
    EXPECT_TRUE(target.Content(i) == (assigned.contains(name) ? expected : blank).Content(i))
        << way << ": " << name;
  }
}

}  // namespace

TensorSet ReadTensors(const std::string& prefix) {
  const CheckpointReader reader(prefix);
  std::mt19937_64 random(1);
  TensorSet set(TensorSet::kHost);
  for (const CheckpointReader::TensorInfo& tensor : reader.List()) {
    if (tensor.dtype == DType::kString) {
      set.AddStrings(
          tensor.name, tensor.shape,
          std::vector<std::string>(static_cast<std::size_t>(ElementCount(tensor.shape))));
    } else if (ElementBytes(tensor.dtype) != 0) {
      set.Add(tensor.name, tensor.dtype, tensor.shape, random);
    } else {
      continue;
    }
    reader.Read(tensor.name, set.tensors().back().tensor);
  }
  return set;
}

void Loads::RestoreBy(Engine& engine, const char* way, const std::string& prefix,
                      const TensorSet& expected, const RestoreOptions& options) {
  const TensorSet target = expected.Blank();
  try {
    Restore(engine, prefix, target.tensors(), options);
    EXPECT_EQ(target.Differences(expected), std::vector<std::string>()) << way;
  } catch (const RestoreError& error) {
    told_.emplace_back(error.what());
    ExpectListsAreRight(error, expected, target, way);
  } catch (const Error& error) {
    told_.emplace_back(error.what());
    EXPECT_EQ(target.Differences(expected.Blank()), std::vector<std::string>()) << way;
  }
}

void Loads::RestoreBoxes(Engine& engine, const std::string& prefix, const TensorSet& expected,
                         std::mt19937_64& random) {
  TensorSet target(TensorSet::kHost);
  std::vector<std::string> contents;
  for (std::size_t i = 0; i < expected.tensors().size(); ++i) {
    const NamedTensor& tensor = expected.tensors()[i];
    const Shape& shape = tensor.tensor.shape();
    if (!IsBytes(tensor) || shape.empty() || ElementCount(shape) == 0) continue;
    const TensorSlice slice = RandomBox(shape, random);
    contents.push_back(
        BytesOfBox(expected.Content(i), shape, slice, ElementBytes(tensor.tensor.dtype())));
    target.AddSlice(tensor.name, tensor.tensor.dtype(), shape, slice, random);
  }
  if (contents.empty()) return;
  std::set<std::string> undefined;
  try {
    Restore(engine, prefix, target.tensors());
  } catch (const RestoreError& error) {
    told_.emplace_back(error.what());
    for (const NamedTensor& tensor : target.tensors()) undefined.insert(tensor.name);
    for (const std::string& name : error.assigned()) undefined.erase(name);
  } catch (const Error& error) {
    told_.emplace_back(error.what());
    return;
  }
  for (std::size_t i = 0; i < contents.size(); ++i) {
    const std::string& name = target.tensors()[i].name;
    if (undefined.contains(name)) continue;
    EXPECT_TRUE(target.Content(i) == contents[i]) << "box of " << name;
  }
}

void Loads::Try(const std::function<void()>& load) {
  try {
    load();
  } catch (const Error& error) {
    told_.emplace_back(error.what());
  }
}

void Loads::ReadEach(const std::string& prefix, const TensorSet& expected) {
  Try([&] {
    const CheckpointReader reader(prefix);
    const TensorSet target = expected.Blank();
    for (std::size_t i = 0; i < expected.tensors().size(); ++i) {
      const NamedTensor& tensor = target.tensors()[i];
      Try([&] {
        reader.Read(tensor.name, tensor.tensor);
        EXPECT_TRUE(target.Content(i) == expected.Content(i)) << "Read " << tensor.name;
      });
    }
  });
}

void Loads::MapEach(const std::string& prefix, const TensorSet& expected) {
  Try([&] {
    const CheckpointReader reader(prefix);
    for (std::size_t i = 0; i < expected.tensors().size(); ++i) {
      const NamedTensor& tensor = expected.tensors()[i];
      if (!IsBytes(tensor)) continue;
      Try([&] {
        const MappedTensor mapped = reader.Map(tensor.name);
        const auto* const data = static_cast<const std::byte*>(mapped.view().data());
        EXPECT_TRUE(AsText({data, mapped.view().size_bytes()}) == expected.Content(i))
            << "Map " << tensor.name;
      });
    }
  });
}

std::vector<std::string> Loads::LoadAll(const std::string& prefix, const TensorSet& expected,
                                        std::mt19937_64& random) {
  told_.clear();
  RestoreBy(mapped_, "mapped", prefix, expected, {});
  RestoreBy(windows_, "past the cache", prefix, expected, {});
  RestoreBy(random() % 2 == 0 ? mapped_ : windows_, "one after the other", prefix, expected,
            {.restore_sequentially = true});
  RestoreBy(random() % 2 == 0 ? mapped_ : windows_, "verified first", prefix, expected,
            {.verify_first = true});
  RestoreBoxes(mapped_, prefix, expected, random);
  RestoreBoxes(windows_, prefix, expected, random);
  ReadEach(prefix, expected);
  MapEach(prefix, expected);
  return std::move(told_);
}

}  // namespace waypost
