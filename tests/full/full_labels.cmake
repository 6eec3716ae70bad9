# Read by ctest after the tests were discovered; full_test_TESTS is what gtest_discover_tests leaves.
set_tests_properties(${full_test_TESTS} PROPERTIES LABELS full RUN_SERIAL TRUE)
