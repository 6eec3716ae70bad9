// A run is a function of its seed, continues bit by bit from a copy of its state, and learns.
#include "digits/trainer.h"

#include <gtest/gtest.h>

namespace waypost::digits {
namespace {

const Dataset& Digits() {
  static const Dataset data = LoadDigits(WAYPOST_DIGITS);
  return data;
}

void Train(Trainer& trainer, int steps) {
  for (int i = 0; i < steps; ++i) {
    trainer.ForwardBackward();
    trainer.ApplyUpdate();
  }
}

// EXPECT_EQ on vectors of float compares values; there are no NaNs, and a lost sign of zero would
// spread.
void ExpectEqual(Trainer& a, Trainer& b) {
  for (std::size_t i = 0; i < a.weights().tensors.size(); ++i) {
    EXPECT_EQ(a.weights().values(i), b.weights().values(i));
    EXPECT_EQ(a.adam_m().values(i), b.adam_m().values(i));
    EXPECT_EQ(a.adam_v().values(i), b.adam_v().values(i));
  }
  EXPECT_EQ(a.step(), b.step());
  EXPECT_EQ(a.batches().state(), b.batches().state());
}

TEST(Trainer, RepeatsItselfForOneSeed) {
  Trainer a(Digits(), 7), b(Digits(), 7), c(Digits(), 8);
  Train(a, 60);
  Train(b, 60);
  Train(c, 60);
  ExpectEqual(a, b);
  EXPECT_NE(a.weights().values(0), c.weights().values(0));
}

TEST(Trainer, ContinuesBitByBitFromACopyOfItsState) {
  Trainer straight(Digits(), 7), stopped(Digits(), 7), resumed(Digits(), 7);
  Train(straight, 120);
  Train(stopped, 53);  // in the middle of an epoch
  Train(resumed, 3);   // what it did before the restore must not matter
  resumed.weights() = stopped.weights();
  resumed.adam_m() = stopped.adam_m();
  resumed.adam_v() = stopped.adam_v();
  resumed.step() = stopped.step();
  resumed.batches().state() = stopped.batches().state();
  Train(resumed, 120 - 53);
  ExpectEqual(straight, resumed);
}

TEST(Trainer, ForwardBackwardChangesNothingThatIsSaved) {
  Trainer a(Digits(), 7), b(Digits(), 7);
  Train(a, 20);
  Train(b, 20);
  a.ForwardBackward();
  ExpectEqual(a, b);
}

TEST(Trainer, LearnsToReadDigits) {
  Trainer trainer(Digits(), 7);
  EXPECT_LT(trainer.EvaluateTest().accuracy, 0.4);
  Train(trainer, 1500);
  EXPECT_GE(trainer.EvaluateTest().accuracy, 0.93);
}

}  // namespace
}  // namespace waypost::digits
