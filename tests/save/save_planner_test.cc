// The plan is checked against its rules: by hand where a rule has a number, and on random inputs
// for what must hold of every plan.  Each refusal of ValidateTensors is provoked, and its message
// names the tensor.
#include "save/save_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>

#include "base/units.h"
#include "format/slice_codec.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

PlannedTensor Planned(std::string_view name, std::uint64_t size_bytes = 0,
                      std::string_view device = "") {
  return {.name = name, .device = device, .source = nullptr, .size_bytes = size_bytes};
}

// Offsets by name, shard by shard: what a reader of the files would see.
using Offsets = std::vector<std::map<std::string, std::uint64_t>>;

Offsets OffsetsOf(const SavePlan& plan, const std::vector<PlannedTensor>& tensors) {
  Offsets offsets;
  for (const ShardPlan& shard : plan.shards) {
    auto& of_shard = offsets.emplace_back();
    for (const PlacedTensor& placed : shard.tensors) {
      of_shard[std::string(tensors[placed.tensor].name)] = placed.offset;
    }
  }
  return offsets;
}

std::vector<std::vector<std::string>> NamesOf(const SavePlan& plan,
                                              const std::vector<PlannedTensor>& tensors) {
  std::vector<std::vector<std::string>> names;
  for (const ShardPlan& shard : plan.shards) {
    auto& of_shard = names.emplace_back();
    for (const PlacedTensor& placed : shard.tensors) {
      of_shard.emplace_back(tensors[placed.tensor].name);
    }
  }
  return names;
}

TEST(SavePlanner, PacksSmallTensorsFirstAndStartsLargeOnesAtPages) {
  const std::vector<PlannedTensor> tensors = {Planned("d", kLargeTensorBytes),
                                              Planned("b", kLargeTensorBytes - 1),
                                              Planned("a", kLargeTensorBytes + 1),
                                              Planned("c", 1),
                                              Planned("e", 0),
                                              Planned("f", 65)};
  const SavePlan plan = PlanSave(tensors, {});
  EXPECT_THAT(NamesOf(plan, tensors), ElementsAre(ElementsAre("b", "c", "e", "f", "a", "d")));
  const std::uint64_t a = AlignUp(65536 + 64 + 65, 4096);
  const std::uint64_t d = a + 65536 + 4096;
  EXPECT_EQ(OffsetsOf(plan, tensors),
            (Offsets{{{"b", 0}, {"c", 65536}, {"e", 65600}, {"f", 65600}, {"a", a}, {"d", d}}}));
  EXPECT_EQ(plan.shards[0].file_bytes, d + 65536);
}

TEST(SavePlanner, PadsTheFileToAPage) {
  for (const std::uint64_t size : {1U, 4095U, 4096U, 4097U}) {
    const SavePlan plan = PlanSave(std::vector<PlannedTensor>{Planned("a", size)}, {});
    EXPECT_EQ(plan.shards[0].file_bytes, size <= 4096 ? 4096U : 8192U) << size;
  }
  const SavePlan empty = PlanSave(std::vector<PlannedTensor>{Planned("a"), Planned("b")}, {});
  EXPECT_EQ(empty.shards[0].file_bytes, 0U);
  EXPECT_EQ(empty.shards[0].tensors.size(), 2U);
}

TEST(SavePlanner, OrdersNamesAsBytes) {
  const std::vector<PlannedTensor> tensors = {Planned("part_2"), Planned("\xff"),
                                              Planned("part_10"), Planned("B"), Planned("a")};
  EXPECT_THAT(NamesOf(PlanSave(tensors, {}), tensors),
              ElementsAre(ElementsAre("B", "a", "part_10", "part_2", "\xff")));
}

TEST(SavePlanner, MakesAShardForEachDeviceStringInTheirOrderAsText) {
  const std::vector<PlannedTensor> tensors = {
      Planned("a", 4, "/device:CPU:2"), Planned("b", 4, "/device:CPU:10"), Planned("c", 4, ""),
      Planned("d", 4, "/device:CPU:2")};
  EXPECT_THAT(NamesOf(PlanSave(tensors, {.sharded = true}), tensors),
              ElementsAre(ElementsAre("c"), ElementsAre("b"), ElementsAre("a", "d")));
  EXPECT_THAT(NamesOf(PlanSave(tensors, {.sharded = false}), tensors),
              ElementsAre(ElementsAre("a", "b", "c", "d")));
}

// ---- Shard counts that are taken ----

std::vector<std::size_t> CutOf(const std::vector<std::uint64_t>& sizes) {
  std::vector<PlannedTensor> tensors;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    names.push_back(std::string(1, static_cast<char>('a' + i)));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    tensors.push_back(Planned(names[i], sizes[i]));
  }
  std::vector<std::size_t> counts;
  for (const ShardPlan& shard : PlanSave(tensors, {.taken_shard_counts = {1}}).shards) {
    counts.push_back(shard.tensors.size());
  }
  return counts;
}

TEST(SavePlanner, CutsATakenShardAtTheBorderNearestToItsMiddle) {
  EXPECT_THAT(CutOf({40, 50, 10}), ElementsAre(1, 2));
  EXPECT_THAT(CutOf({10, 50, 40}), ElementsAre(2, 1))
      << "60 of 100 bytes are nearer to the middle than 10";
  EXPECT_THAT(CutOf({100, 1}), ElementsAre(1, 1));
  EXPECT_THAT(CutOf({1, 100}), ElementsAre(1, 1));
  EXPECT_THAT(CutOf({1, 1, 100}), ElementsAre(2, 1));
  EXPECT_THAT(CutOf({10, 0, 0, 50, 40}), ElementsAre(4, 1))
      << "empty tensors do not hide the middle";
  EXPECT_THAT(CutOf({0, 0}), ElementsAre(1, 1));
}

TEST(SavePlanner, CutsTheLargestShardThatHasTwoTensors) {
  const std::vector<PlannedTensor> tensors = {Planned("a", 1000, "1"), Planned("b", 10, "2"),
                                              Planned("c", 10, "2"), Planned("d", 50, "3"),
                                              Planned("e", 50, "3")};
  EXPECT_THAT(
      NamesOf(PlanSave(tensors, {.sharded = true, .taken_shard_counts = {3}}), tensors),
      ElementsAre(ElementsAre("a"), ElementsAre("b", "c"), ElementsAre("d"), ElementsAre("e")));
  EXPECT_THAT(NamesOf(PlanSave(tensors, {.sharded = true, .taken_shard_counts = {3, 4}}), tensors),
              ElementsAre(ElementsAre("a"), ElementsAre("b"), ElementsAre("d"), ElementsAre("e"),
                          ElementsAre("c")));
}

TEST(SavePlanner, AddsAnEmptyShardToASingleTensor) {
  const std::vector<PlannedTensor> tensors = {Planned("a", 10)};
  const SavePlan plan = PlanSave(tensors, {.taken_shard_counts = {1, 2}});
  EXPECT_THAT(NamesOf(plan, tensors), ElementsAre(ElementsAre("a"), IsEmpty(), IsEmpty()));
  EXPECT_EQ(plan.shards[1].file_bytes, 0U);
}

TEST(SavePlanner, KeepsItsShardCountWhenOthersAreTaken) {
  const std::vector<PlannedTensor> tensors = {Planned("a"), Planned("b")};
  EXPECT_EQ(PlanSave(tensors, {.taken_shard_counts = {2, 3, 7}}).shards.size(), 1U);
}

// ---- Equal bytes once ----

TEST(SavePlanner, CutsShardsAboveShardBytesIntoAboutEqualParts) {
  const std::vector<PlannedTensor> tensors = {Planned("a", 400), Planned("b", 300),
                                              Planned("c", 300), Planned("d", 200),
                                              Planned("e", 100, "other")};
  EXPECT_THAT(NamesOf(PlanSave(tensors, {.sharded = true, .shard_bytes = 700}), tensors),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("c", "d"), ElementsAre("e")));
  EXPECT_THAT(NamesOf(PlanSave(tensors, {.sharded = true, .shard_bytes = 2000}), tensors),
              ElementsAre(ElementsAre("a", "b", "c", "d"), ElementsAre("e")));
  EXPECT_THAT(NamesOf(PlanSave(tensors, {.shard_bytes = 1}), tensors),
              ElementsAre(ElementsAre("a"), ElementsAre("b"), ElementsAre("c"), ElementsAre("d"),
                          ElementsAre("e")))
      << "a tensor is never cut";
}

TEST(SavePlanner, KeepsEveryShardWithinShardBytesOrASingleTensor) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 200; ++round) {
    std::vector<PlannedTensor> tensors;
    std::vector<std::string> names(1 + random() % 40);
    for (std::size_t i = 0; i < names.size(); ++i) {
      names[i] = "t" + std::to_string(i);
      tensors.push_back(Planned(names[i], random() % 2000));
    }
    const std::uint64_t limit = 1 + random() % 5000;
    for (const ShardPlan& shard : PlanSave(tensors, {.shard_bytes = limit}).shards) {
      std::uint64_t bytes = 0;
      for (const PlacedTensor& placed : shard.tensors) bytes += tensors[placed.tensor].size_bytes;
      EXPECT_TRUE(bytes <= limit || shard.tensors.size() == 1) << bytes << " of " << limit;
    }
  }
}

TEST(SavePlanner, SpreadsShardsOverDirectoriesTheLargestToTheEmptiest) {
  const std::vector<PlannedTensor> tensors = {
      Planned("a", 40 * kPageBytes), Planned("b", 10 * kPageBytes), Planned("c", 30 * kPageBytes),
      Planned("d", 20 * kPageBytes)};
  const SavePlan plan = PlanSave(tensors, {.directory_count = 2});
  EXPECT_THAT(NamesOf(plan, tensors),
              ElementsAre(UnorderedElementsAre("a", "b"), UnorderedElementsAre("c", "d")));
  EXPECT_NE(plan.shards[0].directory, plan.shards[1].directory);
  const SavePlan single = PlanSave(tensors, {.shard_bytes = 1, .directory_count = 2});
  std::vector<std::uint64_t> bytes(2);
  for (const ShardPlan& shard : single.shards) bytes[shard.directory] += shard.file_bytes;
  EXPECT_THAT(bytes, ElementsAre(50 * kPageBytes, 50 * kPageBytes));
}

TEST(SavePlanner, UsesNoMoreDirectoriesThanThereAreTensors) {
  const std::vector<PlannedTensor> tensors = {Planned("a", kPageBytes)};
  EXPECT_EQ(PlanSave(tensors, {.directory_count = 3}).shards.size(), 1U);
}

TEST(SavePlanner, SharesAnExtentOnlyAmongEqualBytesOfOneShard) {
  const char bytes[8] = {};
  const std::vector<PlannedTensor> tensors = {
      {.name = "b", .device = "x", .source = bytes, .size_bytes = 8},
      {.name = "a", .device = "x", .source = bytes, .size_bytes = 8},
      {.name = "shorter", .device = "x", .source = bytes, .size_bytes = 4},
      {.name = "later", .device = "x", .source = bytes + 4, .size_bytes = 4},
      {.name = "elsewhere", .device = "y", .source = bytes, .size_bytes = 8},
      {.name = "none", .device = "x", .source = nullptr, .size_bytes = 8},
      {.name = "none2", .device = "x", .source = nullptr, .size_bytes = 8},
      {.name = "empty", .device = "x", .source = bytes, .size_bytes = 0},
      {.name = "empty2", .device = "x", .source = bytes, .size_bytes = 0}};
  const SavePlan sharded = PlanSave(tensors, {.sharded = true});
  ASSERT_EQ(sharded.shared.size(), 1U);
  EXPECT_EQ(sharded.shared[0].tensor, 1U);
  EXPECT_EQ(sharded.shared[0].same_as, 0U);
  const SavePlan single = PlanSave(tensors, {});
  EXPECT_EQ(single.shared.size(), 2U) << "in one file the device makes no difference";
}

// ---- What holds of every plan ----

struct RandomInput {
  std::vector<std::string> names;
  std::vector<PlannedTensor> tensors;
  SavePlanOptions options;
};

RandomInput MakeInput(std::mt19937_64& random) {
  static const std::vector<std::byte> memory(1000);
  RandomInput input;
  const std::size_t count = 1 + random() % 20;
  for (std::size_t i = 0; i < count; ++i)
    input.names.push_back(std::to_string(random() % 1000) + "/" + std::to_string(i));
  const std::vector<std::string_view> devices = {"", "/device:CPU:0", "/device:GPU:1"};
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t sizes[] = {0, random() % 300, kLargeTensorBytes - 1 + random() % 3,
                                   random() % 300'000};
    input.tensors.push_back({.name = input.names[i],
                             .device = devices[random() % devices.size()],
                             .source = random() % 3 == 0 ? nullptr : &memory[random() % 4],
                             .size_bytes = sizes[random() % 4]});
  }
  input.options.sharded = random() % 2 == 0;
  for (int taken = 1; taken <= 4; ++taken) {
    if (random() % 2 == 0) input.options.taken_shard_counts.insert(taken);
  }
  return input;
}

void CheckShard(const RandomInput& input, const ShardPlan& shard) {
  std::uint64_t end = 0;
  const PlannedTensor* previous = nullptr;
  for (const PlacedTensor& placed : shard.tensors) {
    const PlannedTensor& tensor = input.tensors[placed.tensor];
    const bool is_large = tensor.size_bytes >= kLargeTensorBytes;
    const std::uint64_t alignment = is_large ? kPageBytes : kSmallAlignment;
    EXPECT_EQ(placed.offset, AlignUp(end, alignment))
        << "aligned, without overlap and without waste";
    if (previous != nullptr) {
      const bool was_large = previous->size_bytes >= kLargeTensorBytes;
      EXPECT_TRUE(is_large || !was_large);
      if (is_large == was_large) {
        EXPECT_LT(previous->name, tensor.name);
      }
      if (input.options.sharded) {
        EXPECT_EQ(previous->device, tensor.device);
      }
    }
    previous = &tensor;
    end = placed.offset + tensor.size_bytes;
  }
  EXPECT_EQ(shard.file_bytes, AlignUp(end, kPageBytes));
}

TEST(SavePlanner, KeepsItsRulesForAnyInput) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 500 && !::testing::Test::HasFailure(); ++round) {
    const RandomInput input = MakeInput(random);
    const SavePlan plan = PlanSave(input.tensors, input.options);
    std::map<std::size_t, int> placed;
    for (const ShardPlan& shard : plan.shards) {
      CheckShard(input, shard);
      for (const PlacedTensor& tensor : shard.tensors) ++placed[tensor.tensor];
    }
    for (const SharedTensor& shared : plan.shared) {
      EXPECT_EQ(placed.count(shared.same_as), 1U) << "shared with one that is stored";
      EXPECT_EQ(input.tensors[shared.tensor].source, input.tensors[shared.same_as].source);
      EXPECT_EQ(input.tensors[shared.tensor].size_bytes, input.tensors[shared.same_as].size_bytes);
    }
    for (const SharedTensor& shared : plan.shared) ++placed[shared.tensor];
    EXPECT_EQ(placed.size(), input.tensors.size());
    for (const auto& [tensor, times] : placed) EXPECT_EQ(times, 1) << "tensor " << tensor;
    EXPECT_FALSE(input.options.taken_shard_counts.contains(static_cast<int>(plan.shards.size())));
  }
}

// ---- ValidateTensors ----

class Validation : public ::testing::Test {
 protected:
  // Everything is over one memory; only names and shapes matter here.
  NamedTensor Whole(const std::string& name, const Shape& shape = {2}) {
    return {.name = name, .tensor = TensorView(memory_.data(), DType::kFloat32, shape)};
  }
  NamedTensor Slice(const std::string& name, const Shape& full_shape, const TensorSlice& slice,
                    const Shape& shape) {
    NamedTensor tensor = Whole(name, shape);
    tensor.full_shape = full_shape;
    tensor.slice = slice;
    return tensor;
  }
  // The message of the refusal; the code must be kInvalidArgument.
  static std::string Refusal(const std::vector<NamedTensor>& tensors) {
    EXPECT_EQ(CodeOf([&] { ValidateTensors(tensors); }), Code::kInvalidArgument);
    return MessageOf([&] { ValidateTensors(tensors); });
  }
  static void ExpectAccepted(const std::vector<NamedTensor>& tensors) {
    EXPECT_EQ(MessageOf([&] { ValidateTensors(tensors); }), "");
  }

  std::vector<float> memory_ = std::vector<float>(1000);
};

TEST_F(Validation, AcceptsWholesAndFittingSlices) {
  ExpectAccepted(
      {Whole("a"), Whole("b", {}), Whole("c", {0, 3}), Whole("d", {1, 1, 1, 1, 1, 1, 1, 1, 1, 2})});
  ExpectAccepted({Slice("a", {4, 2}, {{{0, 1}, {0, -1}}}, {1, 2}),
                  Slice("a", {4, 2}, {{{1, 3}, {0, 2}}}, {3, 2})});
  ExpectAccepted({Slice("part", {4}, {{{2, 1}}}, {1})});
  ExpectAccepted({Slice("rank 8", {1, 1, 1, 1, 1, 1, 1, 2},
                        {{{0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {1, 1}}},
                        {1, 1, 1, 1, 1, 1, 1, 1})});
  NamedTensor with_full_shape = Whole("a");
  with_full_shape.full_shape = {2};
  ExpectAccepted({with_full_shape});
}

TEST_F(Validation, RefusesNothingAtAll) { EXPECT_THAT(Refusal({}), HasSubstr("no tensor")); }

TEST_F(Validation, RefusesAnEmptyName) {
  EXPECT_THAT(Refusal({Whole("a"), Whole("")}), HasSubstr("empty name"));
}

TEST_F(Validation, RefusesATensorWithoutADType) {
  EXPECT_THAT(Refusal({{.name = "odd\n", .tensor = {}}}), HasSubstr("odd\\n: dtype invalid"));
}

TEST_F(Validation, RefusesADuplicate) {
  EXPECT_THAT(Refusal({Whole("w"), Whole("a"), Whole("w", {3})}),
              HasSubstr("tensor w: the name is given twice"));
}

TEST_F(Validation, RefusesAWholeBesideSlices) {
  EXPECT_THAT(Refusal({Slice("w", {4}, {{{0, 2}}}, {2}), Whole("w", {4})}), HasSubstr("tensor w:"));
  EXPECT_THAT(Refusal({Whole("w", {4}), Slice("w", {4}, {{{0, 2}}}, {2})}), HasSubstr("tensor w:"));
}

TEST_F(Validation, RefusesAFullShapeWithoutASlice) {
  NamedTensor tensor = Whole("w", {2});
  tensor.full_shape = {4};
  EXPECT_THAT(Refusal({tensor}), HasSubstr("tensor w: shape [2] is not the full shape [4]"));
}

TEST_F(Validation, RefusesASliceThatDoesNotFit) {
  EXPECT_THAT(Refusal({Slice("w", {4}, {{{3, 2}}}, {2})}),
              HasSubstr("tensor w: slice 3,2 does not lie within"));
  EXPECT_THAT(Refusal({Slice("w", {4}, {{{-1, 2}}}, {2})}), HasSubstr("tensor w:"));
  EXPECT_THAT(Refusal({Slice("w", {4, 4}, {{{0, 2}}}, {2})}), HasSubstr("tensor w:"));
  EXPECT_THAT(Refusal({Slice("w", {4}, {{{0, 2}}}, {3})}),
              HasSubstr("tensor w: slice 0,2 has shape [2], the tensor has [3]"));
}

TEST_F(Validation, RefusesOverlappingSlices) {
  EXPECT_THAT(Refusal({Slice("w", {4}, {{{0, 2}}}, {2}), Slice("w", {4}, {{{1, 2}}}, {2})}),
              HasSubstr("tensor w: slices 0,2 and 1,2 overlap"));
}

TEST_F(Validation, RefusesSlicesOfDifferentTensors) {
  EXPECT_THAT(Refusal({Slice("w", {4}, {{{0, 2}}}, {2}), Slice("w", {5}, {{{2, 2}}}, {2})}),
              HasSubstr("tensor w:"));
  NamedTensor other = Slice("w", {4}, {{{2, 2}}}, {2});
  other.tensor = TensorView(memory_.data(), DType::kInt32, {2});
  EXPECT_THAT(Refusal({Slice("w", {4}, {{{0, 2}}}, {2}), other}), HasSubstr("tensor w:"));
}

TEST_F(Validation, RefusesAnEmptySliceGivenTwice) {
  const NamedTensor part = Slice("w", {0, 4}, {{{0, -1}, {0, 2}}}, {0, 2});
  EXPECT_THAT(Refusal({part, part}), HasSubstr("tensor w:"));
  EXPECT_THAT(Refusal({part, Slice("w", {0, 4}, {{{0, -1}, {0, -1}}}, {0, 4})}),
              HasSubstr("tensor w:"));
  ExpectAccepted({part, Slice("w", {0, 4}, {{{0, -1}, {2, 2}}}, {0, 2})});
}

TEST_F(Validation, RefusesASliceAboveRankEight) {
  const Shape shape = {1, 1, 1, 1, 1, 1, 1, 1, 2};
  TensorSlice slice;
  for (int i = 0; i < 8; ++i) slice.extents.push_back({0, 1});
  slice.extents.push_back({1, 1});
  EXPECT_THAT(Refusal({Slice("w", shape, slice, Shape(9, 1))}),
              HasSubstr("tensor w: a slice may have rank 8"));
}

// An index with such a name could not be read again beside slices of its tensor.
TEST_F(Validation, RefusesANameThatIsTheKeyOfASlice) {
  const std::string key = EncodeSliceKey("w", {{{0, 2}}});
  EXPECT_THAT(Refusal({Whole(key)}), HasSubstr("save tensor \\x00"));
  ExpectAccepted({Whole(key + "x"), Whole(std::string("\0", 1))});
}

}  // namespace
}  // namespace waypost
