// The planner finds the extents that fill each target, and reports all that is wrong in one message
// with the right code.
#include "restore/restore_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "restore/bundle_maker.h"
#include "support/expect_error.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class RestorePlannerTest : public ::testing::Test {
 protected:
  static BundleIndex MakeIndex() {
    BundleMaker maker;
    maker.Add("whole", DType::kFloat32, {2, 3}, std::string(24, 'w'), {.offset = 0});
    const std::string part(16, 'p');
    maker.Add("parts", DType::kFloat32, {2, 2}, part, {.offset = 64}, {{{0, 2}, {0, 2}}}, {4, 4});
    maker.Add("parts", DType::kFloat32, {2, 2}, part, {.offset = 128}, {{{0, 2}, {2, 2}}}, {4, 4});
    maker.Add("parts", DType::kFloat32, {2, 2}, part, {.offset = 192}, {{{2, 2}, {0, 2}}}, {4, 4});
    return maker.Parsed();
  }

  NamedTensor Target(const std::string& name, const Shape& shape, const TensorSlice& slice = {},
                     const Shape& full_shape = {}, DType dtype = DType::kFloat32) {
    return {.name = name,
            .tensor = TensorView(memory_.data(), dtype, shape),
            .full_shape = full_shape,
            .slice = slice};
  }
  // The offsets of the extents that fill one target.
  std::vector<std::uint64_t> Offsets(const NamedTensor& target) {
    std::vector<std::uint64_t> offsets;
    for (const RestorePiece& piece : PlanRestore(index_, std::span(&target, 1), "restore P")) {
      EXPECT_EQ(piece.target, 0U);
      offsets.push_back(piece.extent->offset);
    }
    return offsets;
  }
  void ExpectRefused(const std::vector<NamedTensor>& targets, Code code, const std::string& text) {
    const auto plan = [&] { PlanRestore(index_, targets, "restore P"); };
    EXPECT_EQ(CodeOf(plan), code);
    EXPECT_THAT(MessageOf(plan), AllOf(StartsWith("restore P: "), HasSubstr(text)));
  }

  std::vector<double> memory_ = std::vector<double>(1000);
  const BundleIndex index_ = MakeIndex();
};

TEST_F(RestorePlannerTest, TakesTheExtentsThatMeetTheRequest) {
  EXPECT_THAT(Offsets(Target("whole", {2, 3})), testing::ElementsAre(0));
  EXPECT_THAT(Offsets(Target("whole", {1, 3}, {{{1, 1}, {0, -1}}}, {2, 3})),
              testing::ElementsAre(0));
  EXPECT_THAT(Offsets(Target("parts", {2, 2}, {{{0, 2}, {2, 2}}}, {4, 4})),
              testing::ElementsAre(128));
  EXPECT_THAT(Offsets(Target("parts", {1, 4}, {{{1, 1}, {0, -1}}}, {4, 4})),
              testing::ElementsAre(64, 128));
  EXPECT_THAT(Offsets(Target("parts", {4, 1}, {{{0, 4}, {1, 1}}}, {4, 4})),
              testing::ElementsAre(64, 192));
}

TEST_F(RestorePlannerTest, FillsTheSameTensorTwice) {
  const std::vector<NamedTensor> targets = {Target("whole", {2, 3}), Target("whole", {2, 3})};
  EXPECT_EQ(PlanRestore(index_, targets, "restore P").size(), 2U);
}

TEST_F(RestorePlannerTest, ReshapesWholeTensorsOfEqualCount) {
  const auto count = [&](const NamedTensor& target) {
    return PlanRestore(index_, std::span(&target, 1), "restore P", true).size();
  };
  EXPECT_EQ(count(Target("whole", {6})), 1U);
  EXPECT_EQ(count(Target("whole", {1, 3, 2})), 1U);
  const auto refused = [&](const NamedTensor& target) { return MessageOf([&] { count(target); }); };
  EXPECT_THAT(refused(Target("whole", {7})), HasSubstr("which has not as many elements"));
  EXPECT_THAT(refused(Target("parts", {1, 8}, {{{0, 1}, {0, -1}}}, {2, 8})),
              HasSubstr("shape [2,8] was asked for, the checkpoint has [4,4]"));
}

TEST_F(RestorePlannerTest, RefusesEachWrongTarget) {
  ExpectRefused({Target("mis\nsing", {2})}, Code::kNotFound,
                "tensor mis\\nsing is not in the checkpoint");
  ExpectRefused({Target("whole", {2, 3}, {}, {}, DType::kInt32)}, Code::kInvalidArgument,
                "tensor whole: dtype int32 was asked for, the checkpoint has float32");
  ExpectRefused({Target("whole", {3, 2})}, Code::kInvalidArgument,
                "tensor whole: shape [3,2] was asked for, the checkpoint has [2,3]");
  ExpectRefused({Target("whole", {6})}, Code::kInvalidArgument, "tensor whole: shape [6]");
  ExpectRefused({Target("whole", {1, 3}, {{{0, 1}, {0, 3}}}, {3, 3})}, Code::kInvalidArgument,
                "tensor whole: shape [3,3] was asked for");
  ExpectRefused({Target("whole", {1, 3}, {{{2, 1}, {0, 3}}}, {2, 3})}, Code::kInvalidArgument,
                "tensor whole: slice 2,1:0,3");
  ExpectRefused({Target("whole", {2, 3}, {{{0, 1}, {0, 3}}}, {2, 3})}, Code::kInvalidArgument,
                "tensor whole: slice 0,1:0,3 has shape [1,3], the target has [2,3]");
  ExpectRefused({{.name = "whole", .tensor = {}}}, Code::kInvalidArgument,
                "tensor whole: dtype invalid");
}

TEST_F(RestorePlannerTest, RefusesWhatTheStoredSlicesDoNotCover) {
  ExpectRefused({Target("parts", {4, 4})}, Code::kInvalidArgument,
                "tensor parts: the stored slices do not cover it");
  ExpectRefused({Target("parts", {1, 1}, {{{3, 1}, {3, 1}}}, {4, 4})}, Code::kInvalidArgument,
                "tensor parts: the stored slices do not cover slice 3,1:3,1");
}

TEST_F(RestorePlannerTest, ReportsAllThatIsWrongInOneMessage) {
  const std::vector<NamedTensor> targets = {Target("gone", {1}), Target("whole", {2, 3}),
                                            Target("whole", {7}), Target("parts", {4, 4}),
                                            Target("whole", {2, 3}, {}, {}, DType::kFloat64)};
  ExpectRefused(targets, Code::kInvalidArgument, "tensor gone is not in");
  ExpectRefused(targets, Code::kInvalidArgument, "shape [7]");
  ExpectRefused(targets, Code::kInvalidArgument, "do not cover it");
  ExpectRefused(targets, Code::kInvalidArgument, "dtype float64");
  ExpectRefused({Target("gone", {1}), Target("whole", {2, 3}), Target("gone too", {1})},
                Code::kNotFound,
                "tensor gone is not in the checkpoint; tensor gone too is not in the checkpoint");
}

TEST_F(RestorePlannerTest, ListsNoMoreThanTwentyProblems) {
  std::vector<NamedTensor> targets;
  for (int i = 0; i < 20; ++i) targets.push_back(Target(fmt::format("gone{:02}", i), {1}));
  EXPECT_THAT(MessageOf([&] { PlanRestore(index_, targets, "restore P"); }),
              AllOf(HasSubstr("gone19"), Not(HasSubstr("more"))));
  for (int i = 20; i < 25; ++i) targets.push_back(Target(fmt::format("gone{:02}", i), {1}));
  EXPECT_THAT(MessageOf([&] { PlanRestore(index_, targets, "restore P"); }),
              AllOf(HasSubstr("gone19"), Not(HasSubstr("gone20")), HasSubstr("; and 5 more")));
}

}  // namespace
}  // namespace waypost
